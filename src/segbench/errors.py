"""The errors that a user can cause and mend; their text alone is shown."""


class SegbenchError(Exception):
    """What was found, what was expected, and the way out, in one line."""


class ConfigError(SegbenchError):
    """An option or its value is not what the config takes."""


class DataError(SegbenchError):
    """A data set is missing, incomplete or broken; the text names the file."""
