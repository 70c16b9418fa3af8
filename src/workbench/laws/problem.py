"""What is fitted: inputs and a metric by row, and how much each row can be trusted."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from workbench.laws.law import Inputs
from workbench.laws.noise import Noise
from workbench.laws.replicates import Replicates


@dataclass(frozen=True)
class Problem:
    """What is fitted: inputs and a metric by row, and how much each row can be trusted.

    Attributes:
        root: Whitens residuals: a weight per row (one over its standard deviation), or a matrix.
        delta: Huber's threshold on the log residual; None for squares.
        freedom: Degrees of freedom of the noise behind ``root``; None when the noise is unknown and has to be
            read from the residuals.
        bound_only: Rows whose value is only an upper bound of the metric (censored runs).
        quality: The rows' qualities.
        replicates: The measurements by seed behind the first rows, those that are not ``bound_only``; None
            when every row stands alone.
        noise: What the seeds tell about the noise.
    """

    x: Inputs
    y: Float[np.ndarray, " rows"]
    root: np.ndarray
    delta: float | None = None
    freedom: float | None = None
    bound_only: np.ndarray | None = None
    quality: tuple[str, ...] = ()
    replicates: Replicates | None = None
    noise: Noise | None = None

    def whiten(self, values: np.ndarray) -> np.ndarray:
        """Divide rows by their noise."""
        if self.root.ndim == 2:
            return self.root @ values
        return values * (self.root if values.ndim == 1 else self.root[:, None])

    def residual(self, predicted: np.ndarray) -> np.ndarray:
        """Return measured minus predicted, in the unit of the objective: whitened, or of the logarithm."""
        if self.delta is None:
            rest = self.whiten(self.y - predicted)
        else:
            rest = np.log(np.maximum(predicted, 1e-300)) - np.log(self.y)
        return rest if self.bound_only is None else np.where(self.counted(predicted), rest, 0.0)

    def counted(self, predicted: np.ndarray) -> np.ndarray:
        """Say which rows speak against a prediction: a censored run doesn't where the prediction is lower."""
        if self.bound_only is None:
            return np.ones(len(predicted), dtype=bool)
        return ~self.bound_only | (predicted > self.y)
