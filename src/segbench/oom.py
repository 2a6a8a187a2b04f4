"""What to change when the memory does not suffice, and how much each change would free."""

from dataclasses import dataclass

import torch

GIB = 2**30


@dataclass(frozen=True)
class Footprint:
    """What decides a training step's memory."""

    parameters: int
    batch_size: int
    size: tuple[int, int]
    precision: str
    peak_bytes: int  # when it gave out: the step would have taken at least this

    @property
    def fixed_bytes(self) -> int:
        """Weights, gradients and two moments of Adam, in float32, whatever the batch."""
        return 16 * self.parameters

    @property
    def activation_bytes(self) -> int:
        """The rest: grows with the batch and with height × width."""
        return max(self.peak_bytes - self.fixed_bytes, 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory gave out, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def advice(used: Footprint) -> str:
    """One line: the settings that would lower the memory, with what each would free at least."""
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
