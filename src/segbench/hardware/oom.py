"""Which settings to change when memory runs out, and how much each change would free."""

from dataclasses import dataclass

import torch

GIB = 2**30
_ONEDNN = "could not create a primitive"  # oneDNN's message when memory runs out


@dataclass(frozen=True)
class Footprint:
    """The settings that determine the memory of a training step.

    Args:
        parameters: number of the network's parameters.
        batch_size: images in a batch.
        size: (height, width) of the images in pixels.
        precision: as ``trainer.precision`` has it, such as ``32-true``.
        peak_bytes: bytes in use when memory ran out; the step needs at least this many.
    """

    parameters: int
    batch_size: int
    size: tuple[int, int]
    precision: str
    peak_bytes: int

    @property
    def fixed_bytes(self) -> int:
        """Bytes of weights, gradients and Adam's two moments in float32, for any batch."""
        return 16 * self.parameters

    @property
    def activation_bytes(self) -> int:
        """All other bytes, which grow with the batch and with height × width."""
        return max(self.peak_bytes - self.fixed_bytes, 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the memory of a GPU or of the machine ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    return "can't allocate memory" in str(error) or str(error) == _ONEDNN


def advice(used: Footprint) -> str:
    """One line that lists settings which need less memory, and about how much each would free."""
    activations, height, width = used.activation_bytes, *used.size
    ways: list[str] = []
    if used.batch_size > 1:
        half = used.batch_size // 2
        freed = activations * (1 - half / used.batch_size)
        ways.append(
            f"data.batch_size={half} trainer.accumulate_grad_batches={used.batch_size // half} "
            f"({_gib(freed)}, the same steps)"
        )
    if used.precision.startswith("32"):
        ways.append(f"trainer.precision=16-mixed (up to {_gib(activations / 2)})")
    ways.append(f"data.size=[{height // 2},{width // 2}] ({_gib(activations * 3 / 4)})")
    ways.append(f"half of model.base_channels ({_gib(activations / 2 + used.fixed_bytes * 3 / 4)})")
    return (
        f"out of memory at {_gib(used.peak_bytes)}, of which {_gib(used.fixed_bytes)} are weights, "
        f"gradients and moments; each of these would free about: {'; '.join(ways)}"
    )


def _gib(count: float) -> str:
    return f"{count / GIB:.2f} GiB"
