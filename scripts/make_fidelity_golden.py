"""Make tests/golden/fidelity.npz: the Frechet and kernel distances that torch-fidelity computes. Tests compare ours.

torch-fidelity needs PyTorch, and so its own environment:

    python3 -m venv /tmp/fidelity
    /tmp/fidelity/bin/pip install torch-fidelity==0.4.0
    /tmp/fidelity/bin/python scripts/make_fidelity_golden.py
"""

import pathlib

import numpy as np
import torch
import torch_fidelity
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

OUTPUT = pathlib.Path(__file__).parents[1] / "tests" / "golden" / "fidelity.npz"

CASES = {"many": (60, 50, 12), "few": (20, 24, 64)}
"""Rows of the first and of the second set, and columns. With fewer rows than columns the covariances are singular."""

SUBSET, SUBSETS, SEED = 15, 8, 2020


def main() -> None:
    """Draw two sets of features with correlated columns and different mean and spread, and compute their distances."""
    random = np.random.default_rng(0)
    values = {"subset": SUBSET, "subsets": SUBSETS, "seed": SEED}
    for name, (rows, others, columns) in CASES.items():
        mixing = random.normal(size=(columns, columns)) / np.sqrt(columns)
        real = random.gamma(2.0, 0.5, (rows, columns)) @ mixing
        fake = random.gamma(2.0, 0.6, (others, columns)) @ mixing + 0.1
        golden = {"real": real, "fake": fake, **distances(torch.from_numpy(real), torch.from_numpy(fake))}
        values |= {f"{name}_{key}": value for key, value in golden.items()}
    OUTPUT.parent.mkdir(exist_ok=True)
    np.savez_compressed(OUTPUT, **values)
    print(f"{OUTPUT}: torch-fidelity {torch_fidelity.__version__}, PyTorch {torch.__version__}")


def distances(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
    """The values frechet, kernel_mean and kernel_std of features [N, D]."""
    statistics = (fid_features_to_statistics(side) for side in (real, fake))
    frechet = fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    kernel = kid_features_to_metric(
        real, fake, kid_subset_size=SUBSET, kid_subsets=SUBSETS, rng_seed=SEED, verbose=False
    )
    mean, deviation = (kernel[f"kernel_inception_distance_{name}"] for name in ("mean", "std"))
    return {"frechet": frechet, "kernel_mean": mean, "kernel_std": deviation}


if __name__ == "__main__":
    main()
