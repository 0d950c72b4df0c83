"""Group DRO: each group of images weighs as much in the loss as its own loss asks for.

Sagawa, Koh, Hashimoto and Liang 2020, "Distributionally robust neural networks for group shifts" (arXiv:1911.08731,
section 5, Algorithm 1), for batches, as the authors' own code has it: the loss of a step is the sum over groups g of
q_g times the mean loss of the group's images in the step, and q_g grows by the factor exp(eta times that mean), before
all q are divided by their sum. A group that a step lacks has the loss 0 there.

Groups are pairs of origin and class, as the paper's are pairs of attribute and class: what misleads is that an origin
goes with a class. Of an origin as a whole, whose images are mostly of one class, the loss is low where all of them are
called that.

Here q grows after a step rather than within it: both players move from the same point, as in Nemirovski et al. 2009,
"Robust stochastic approximation approach to stochastic programming", section 3. The weights are then known before the
first forward pass, so that a step that is cut into parts and processes has the gradient of the whole one.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from accelerate.utils import reduce
from datasets import Dataset
from torch import Tensor
from torch.nn import functional

from hf_deepfake.config import LABELS
from hf_deepfake.data.batch import Batch
from hf_deepfake.errors import InputError
from hf_deepfake.machine import widest_float


class GroupDro:
    """The weights q of the groups of a training split, and what a step is weighed by.

    For each step `begin`, `mean` for each part of it that this process has, and `end`.

    Args:
        eta: step size of the weights, above 0.
        train: training split of N images, with the columns label and origin.
        self_blend: whether reals become fakes of their origin on the fly.
        device: of the losses.

    Attributes:
        names: of the groups that there are, such as "dfdc fake".

    Raises:
        InputError: the images are all of one origin.
    """

    def __init__(self, eta: float, train: Dataset, self_blend: bool, device: torch.device):
        origins, known = pd.factorize(np.asarray(train["origin"]))
        if len(known) < 2:
            raise InputError(
                f"group_dro weighs origins against each other, and all training images are of {known[0]}; add a source "
                "of another origin, or leave it out"
            )
        self._eta, self._device = eta, device
        self._origins, self._labels = torch.from_numpy(origins), torch.tensor(train["label"])
        self._size = len(known) * len(LABELS)
        there = self._counts(self._origins, self._labels) > 0
        if self_blend:
            there |= self._counts(self._origins[self._labels == 0], torch.ones(int((self._labels == 0).sum()))) > 0
        self._there = there.nonzero().flatten().tolist()
        every = [f"{origin} {label}" for origin in known for label in LABELS]
        self.names = [every[group] for group in self._there]
        # Logarithms, in which a small weight is not lost for good; a group that there never is has none.
        weights = torch.where(there, 0.0, -torch.inf).to(device, widest_float(device))
        self._log_q = weights.log_softmax(0)
        self._batch_size = 0
        self._step_counts = self._sums = torch.zeros(self._size, device=device)

    def state(self) -> list[float]:
        """The logarithms of all weights, to go on from."""
        return self._log_q.tolist()

    def restore(self, state: Sequence[float]) -> None:
        """Take up what `state` gave."""
        self._log_q = self._log_q.new_tensor(state)

    def weights(self) -> dict[str, float]:
        """The weight of each group in the next step, by name; they sum to 1."""
        q = self._log_q.exp().tolist()
        return {name: q[group] for name, group in zip(self.names, self._there, strict=True)}

    def begin(self, indices: np.ndarray) -> None:
        """Begin a step.

        Args:
            indices: int64 (B,), images of the whole step, of all parts and processes, as `Orders` gives them: an
                odd quotient by N is a self-blended image.
        """
        blended, positions = map(torch.from_numpy, np.divmod(indices, len(self._labels)))
        labels = torch.where(blended % 2 == 1, 1, self._labels[positions])
        self._batch_size = len(indices)
        counts = self._counts(self._origins[positions], labels)
        self._step_counts = counts.to(self._device, self._log_q.dtype, non_blocking=True)
        self._sums = torch.zeros_like(self._log_q)

    def mean(self, losses: Tensor, batch: Batch, share: Tensor) -> Tensor:
        """Weigh the losses of images of this step.

        Args:
            losses: (b,), one an image.
            batch: these images.
            share: scalar, how much of each image is its own, where images are mixed: the rest is of the image at the
                same place from the batch's end, and so is that much of the loss.

        Returns:
            Scalar, of which the mean over parts and processes of equal size is the sum of q_g times the mean loss of
            group g in the step.
        """
        groups = self._origins[batch.positions] * len(LABELS) + batch.labels
        members = functional.one_hot(groups, self._size).to(self._device, losses.dtype, non_blocking=True)
        members = share * members + (1 - share) * members.flip(0)
        # Mixing leaves the members of each group as many as they were, so that the step's counts hold for it too.
        weights = self._batch_size * self._log_q.exp() / self._step_counts.clamp(min=1)
        self._sums += (members * losses.detach()[:, None]).sum(0)
        return (losses * (members * weights.to(losses.dtype)).sum(1)).mean()

    def end(self) -> None:
        """Let the weights grow by the losses of the step, alike on all processes."""
        sums = reduce(self._sums, "sum")
        grown = (self._log_q + self._eta * sums / self._step_counts.clamp(min=1)).log_softmax(0)
        # fp16's scaler skips steps that overflow, and so do the weights.
        self._log_q = torch.where(sums.isfinite().all(), grown, self._log_q)

    def _counts(self, origins: Tensor, labels: Tensor) -> Tensor:
        """How many images each group has."""
        return torch.bincount(origins * len(LABELS) + labels.long(), minlength=self._size)
