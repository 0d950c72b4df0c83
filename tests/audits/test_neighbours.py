import numpy as np
import pytest

from hf_deepfake.audits import neighbours
from hf_deepfake.audits.neighbours import find_pairs

COARSE = np.array([2**63 - 1, 0, 0, 0], np.uint64)


def random_codes(rng, count):
    codes = rng.integers(0, 2**64, (count, 4), np.uint64)
    codes[:, 0] &= COARSE[0]
    return codes


def flipped(rng, code, coarse, fine):
    """The code with so many of the 63 coarse and the 192 fine bits flipped."""
    code = code.copy()
    for bit in [*rng.choice(63, coarse, replace=False), *rng.choice(np.arange(64, 256), fine, replace=False)]:
        code[bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
    return code


def brute_force(queries, stored, coarse_limit, limit):
    differing = np.bitwise_count(queries[:, None] ^ stored[None]).astype(int)
    near = (differing[..., 0] <= coarse_limit) & (differing.sum(axis=2) <= limit)
    return np.argwhere(near)


@pytest.mark.parametrize("radius", [0, 1, 2])
@pytest.mark.parametrize("block", [7, 2_000_000])
def test_equals_brute_force_with_planted_neighbours(monkeypatch, radius, block):
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    rng = np.random.default_rng(radius)
    stored = random_codes(rng, 300)
    edge = 3 * radius + 2
    queries = [flipped(rng, stored[n], n % (edge + 3), 5 * (n % 7)) for n in range(120)]
    queries = np.stack([*queries, *random_codes(rng, 50)])
    expected = brute_force(queries, stored, edge, 24)
    assert 40 < len(expected) < 120  # some of the planted lie beyond each limit
    np.testing.assert_array_equal(find_pairs(queries, stored, radius, 24), expected)


def test_many_equal_codes_are_all_found():
    codes = np.repeat(random_codes(np.random.default_rng(0), 2), 40, axis=0)
    assert len(find_pairs(codes, codes, 1, 10)) == 2 * 40 * 40


def test_nothing_near():
    rng = np.random.default_rng(0)
    assert find_pairs(random_codes(rng, 20), random_codes(rng, 20), 1, 10).shape == (0, 2)
