"""Low-level statistics of an image: colour, sharpness, noise and traces of compression, wherever they are in it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STATISTICS = {
    "red": "mean red",
    "green": "mean green",
    "blue": "mean blue",
    "saturation": "saturation",
    "contrast": "contrast",
    "sharpness": "sharpness",
    "noise": "noise level",
    "slope": "slope of the spectrum",
    "high_frequencies": "share of high frequencies",
    "blocks": "8 x 8 block grid",
}
"""Names of the statistics, with what they are called in a report."""

WINDOW = 512
"""Side of the central window that is measured, px at the image's own resolution: rescaling would change it all."""


def statistics(image: Image.Image) -> dict[str, float]:
    """Measure the central window of an image.

    `sharpness` is that of the function below, `noise` the standard deviation of white noise after Immerkær, "Fast
    Noise Variance Estimation" (1996), `slope` that of log power against log frequency, about -2 for natural scenes
    (Field 1987), `high_frequencies` the logarithm of the share of power above half the Nyquist frequency, `blocks` how
    much more neighbouring pixels differ across the borders of 8 x 8 blocks than elsewhere, at whichever place of the
    grid it is most (1: no grid).

    Args:
        image: RGB, at least 32 px a side.

    Returns:
        `STATISTICS` by name; colours, contrast and noise in steps of [0, 255], saturation in [0, 1].
    """
    side = (min(WINDOW, image.width), min(WINDOW, image.height))
    left, top = (image.width - side[0]) // 2, (image.height - side[1]) // 2
    window = image.crop((left, top, left + side[0], top + side[1]))
    rgb = np.asarray(window, np.float32)
    grey = np.asarray(window.convert("L"), np.float32)
    red, green, blue = rgb.mean(axis=(0, 1)).tolist()
    brightest = rgb.max(axis=2)
    bend = np.diff(grey, 2, axis=0)
    residue = np.abs(np.diff(bend, 2, axis=1))
    slope, high = _spectrum(grey)
    return {
        "red": red,
        "green": green,
        "blue": blue,
        "saturation": float(((brightest - rgb.min(axis=2)) / np.maximum(brightest, 1)).mean()),
        "contrast": float(grey.std()),
        "sharpness": sharpness(grey),
        "noise": float(np.sqrt(np.pi / 2) / 6 * residue.mean()),
        "slope": slope,
        "high_frequencies": high,
        "blocks": float(np.mean([_grid(grey), _grid(grey.T)])),
    }


def sharpness(grey: NDArray[np.float32]) -> float:
    """The natural logarithm of the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing", ICPR 2000).

    Args:
        grey: (H, W) in [0, 255], at least 3 px a side.

    Returns:
        The sharpness; it depends on the scale at which an image is shown.
    """
    laplacian = np.diff(grey, 2, axis=0)[:, 1:-1] + np.diff(grey, 2, axis=1)[1:-1]
    return float(np.log(laplacian.var() + 1e-3))


def _spectrum(grey: NDArray[np.float32]) -> tuple[float, float]:
    """Slope of log power over log frequency, and the log share of power above half the Nyquist frequency."""
    side = min(grey.shape)
    window = np.hanning(side).astype(np.float32)
    square = grey[:side, :side] - grey[:side, :side].mean()
    power = np.abs(np.fft.rfft2(square * window * window[:, None])) ** 2
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    edges = np.geomspace(4 / side, 0.5, 13)  # below, rings have too few frequencies for a mean
    ring = np.digitize(frequency.ravel(), edges)
    total = np.bincount(ring, power.ravel(), 14)[1:13]
    count = np.bincount(ring, minlength=14)[1:13]
    filled = count > 0
    middle = np.sqrt(edges[:-1] * edges[1:])[filled]
    slope = np.polyfit(np.log(middle), np.log(total[filled] / count[filled] + 1e-6), 1)[0]
    high = power[frequency > 0.25].sum() / max(float(power.sum()), 1e-6)
    return float(slope), float(np.log(high + 1e-9))


def _grid(grey: NDArray[np.float32]) -> float:
    """Mean step between neighbouring columns at the strongest of the eight places of a grid, over the median place."""
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    places = np.array([steps[place::8].mean() for place in range(8)])
    return float((places.max() + 0.1) / (np.median(places) + 0.1))
