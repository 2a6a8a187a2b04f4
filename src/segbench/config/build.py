"""Instantiates a node of a config; wrong arguments are reported as errors of the option."""

from typing import Any

from omegaconf import OmegaConf

from segbench.errors import ConfigError, SegbenchError

USERS_ERRORS = (ValueError, TypeError)  # raised by constructors for wrong arguments


def build(node: Any, option: str, **more: Any) -> Any:
    """Instantiate a node of a config.

    Args:
        node: the node, with a ``_target_`` and its arguments.
        option: the dotted name of the node in the config, for messages.
        more: further arguments of the target.

    Raises:
        ConfigError: the target is not permitted, or refuses the arguments.
    """
    from hydra.errors import InstantiationException

    from segbench.config import targets

    if not OmegaConf.is_config(node):
        node = OmegaConf.create({option: node})[option]
    try:
        return targets.build(node, **more)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, SegbenchError):
            raise cause from cause.__cause__
        if isinstance(cause, USERS_ERRORS):
            raise refusal(option, cause) from cause
        raise


def refusal(option: str, error: Exception) -> ConfigError:
    """A constructor's error as an error of the option that gave its arguments."""
    text = " ".join(str(error).split())
    named = text.startswith(f"{option.partition('.')[0]}.")
    return ConfigError(text if named else f"{option}: {text}")
