from hf_deepfake.training.run_progress import AFTER, RunProgress


def test_a_step_that_repeats_divides_by_nothing(clock, capsys):
    run = RunProgress(shown=True, steps=10)
    for done in (1, 1, 1, 2, 2):
        run.step(0, done, 8)
    assert run.done == 2
    assert capsys.readouterr().err == ""


def test_speed_and_time_are_those_of_steps_that_were_taken(clock, capsys):
    run = RunProgress(shown=True, steps=100)
    run.step(4, 40, 8)  # a resumed run; its clock starts here
    clock.now += 20
    run.step(4, 41, 8)
    clock.now += 20
    run.step(9, 81, 8)  # a stage that ended early left 39 steps out
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "training: 81 of 100 steps, epoch 10, 0.4 images/s, 06:20 left"  # 19 steps of 20 s
    clock.now += 31
    run.step(9, 100, 8)
    assert capsys.readouterr().err == "training: 100 of 100 steps, epoch 10, 0.3 images/s\n"


def test_what_follows_the_last_step_is_said(capsys):
    run = RunProgress(shown=True, steps=1)
    run.step(0, 1, 8)
    for place in range(len(AFTER)):
        run.after(place, 1200 if place == 0 else 0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "after training, 1 of 5: temperature and operating point, on validation: 1,200 images"
    assert lines[-1] == "after training, 5 of 5: figures, page and card"
    assert len(lines) == 5


def test_the_bar_of_a_terminal_never_says_that_no_time_is_left(monkeypatch, capsys, clock):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    run = RunProgress(shown=True, steps=3)
    for done in (1, 2, 3):
        clock.now += 1
        run.step(0, done, 8)
        run.bar.refresh()
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "00:01 left" in shown
    assert "00:00 left" not in shown
    assert "<00:00" not in shown
