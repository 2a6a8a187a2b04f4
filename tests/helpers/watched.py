"""Notes every call that reaches outside a scratch folder, and refuses it: `watch(scratch)`."""

import os
import sys
from pathlib import Path

PROGRAMS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
)
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request")
# Of each change of files which arguments are the paths that it changes.
CHANGES = {
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"), (0,)),
    **dict.fromkeys(("os.truncate", "os.chmod", "os.chown", "os.utime"), (0,)),
    **dict.fromkeys(("os.symlink", "os.link"), (1,)),
    "os.rename": (0, 1),
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
foreign: list[str] = []


def watch(scratch: Path) -> None:
    """From now on refuse programs, connections, and changes of files outside ``scratch``."""
    inside = str(scratch.resolve())

    def is_outside(path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a file that is open already
        full = os.path.realpath(os.fsdecode(path))
        allowed = (inside + os.sep, "/dev/", "/proc/")
        return full not in (os.devnull, inside) and not full.startswith(allowed)

    def hook(event: str, args: tuple[object, ...]) -> None:
        bad = event in PROGRAMS or event in NETWORK
        if event == "subprocess.Popen" and args[0] in ("/sbin/ldconfig", "uname"):
            bad = False  # Python's own way to find a library, and to name the processor
        if event == "open" and isinstance(args[2], int) and args[2] & _WRITES:
            bad = is_outside(args[0])
        elif event in CHANGES:
            bad = any(is_outside(args[place]) for place in CHANGES[event])
        if bad:
            foreign.append(f"{event} {args!r}"[:300])
            raise PermissionError(f"refused: {event} {args!r}"[:300])

    sys.addaudithook(hook)


def imported_from(folder: Path) -> list[str]:
    """The modules that came from a folder."""
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return [name for name, file in files.items() if file and Path(file).is_relative_to(folder)]
