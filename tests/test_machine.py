import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hf_deepfake.machine import (
    best_device,
    best_precision,
    cpu_flags,
    cpu_name,
    default_workers,
    usable_cores,
    widest_float,
)


def test_flags_and_name_are_read_from_the_first_processor(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Toy CPU 1\nflags\t\t: fpu avx2 amx_bf16\n\nprocessor\t: 1\n")
    assert cpu_flags(info) == {"fpu", "avx2", "amx_bf16"}
    assert cpu_name(info) == "Toy CPU 1"


def test_a_system_without_the_file_has_no_flags(tmp_path):
    assert cpu_flags(tmp_path / "none") == frozenset()
    assert cpu_name(tmp_path / "none") == "unknown CPU"


@pytest.mark.parametrize(
    ("flags", "precision"),
    [({"avx512f"}, "no"), ({"amx_bf16", "amx_tile"}, "bf16"), ({"avx512_bf16"}, "bf16"), (set(), "no")],
)
def test_bf16_on_a_cpu_only_where_its_flags_say_so(flags, precision):
    assert best_precision("cpu", frozenset(flags)) == precision
    assert best_precision("mps", frozenset(flags)) == best_precision("xpu", frozenset(flags)) == "no"


@pytest.mark.parametrize(
    ("found", "device", "widest"),
    [
        ("cuda", "cuda", torch.float64),
        ("mps", "mps", torch.float32),
        ("xpu", "xpu", torch.float32),
        (None, "cpu", torch.float64),
    ],
)
def test_the_accelerator_that_torch_has_is_taken(found, device, widest, monkeypatch):
    there = found and torch.device(found)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: there)
    assert best_device() == torch.device(device)
    assert widest_float(best_device()) == widest


def test_workers_share_the_cores():
    assert default_workers(1) == min(8, usable_cores())
    assert default_workers(10_000) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_processes_take_different_cores_while_there_are_enough():
    code = """
import os, sys, torch
from hf_deepfake.machine import take_cores
take_cores(2, int(sys.argv[1]))
print(*sorted(os.sched_getaffinity(0)))
assert torch.get_num_threads() == len(os.sched_getaffinity(0))
"""
    shares = []
    for process in "01":
        done = subprocess.run([sys.executable, "-c", code, process], check=True, capture_output=True, text=True)
        shares.append(set(done.stdout.split()))
    cores = {str(core) for core in os.sched_getaffinity(0)}
    assert shares[0] | shares[1] == cores
    assert len(cores) == 1 or not shares[0] & shares[1]


WORKER = """
import multiprocessing, os, signal, sys
from hf_deepfake.machine import leave_signals_to_parent

def echo(pipe):
    leave_signals_to_parent()
    pipe.send("ready")
    while True:
        pipe.send(pipe.recv())

context = multiprocessing.get_context("fork")
pipe, other = context.Pipe()
worker = context.Process(target=echo, args=(other,), daemon=True)
worker.start()
assert pipe.recv() == "ready"
os.system(f"kill -{sys.argv[1]} {worker.pid}")  # not from its parent

def waits():  # a second signal beside one that waits is lost
    text = open(f"/proc/{worker.pid}/status").read()
    return int(text.split("ShdPnd:")[1].split()[0], 16) >> signal.SIGTERM - 1 & 1

number = 0
while number < 3 or waits():
    pipe.send(number)
    assert pipe.recv() == number
    number += 1
worker.terminate()
worker.join()
assert worker.exitcode == 128 + signal.SIGTERM
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say which signals wait")
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_worker_outlives_a_signal_to_the_group_and_ends_with_its_parent(name):
    """In a process of its own: the worker is forked of one that has no threads, as those of loaders and pools are."""
    subprocess.run([sys.executable, "-c", WORKER, name], check=True, timeout=100)
