"""`hrm-serve samples`: where the sample documents lie, for a first question on a fresh installation."""

from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def samples() -> None:
    """Print the folder of the sample documents, for `hrm-serve ingest`."""
    print(SAMPLES)
