"""The colours of classes in all pictures and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

# Palette of Okabe and Ito, which colour-blind people can distinguish; background first.
PALETTE = (
    (0x00, 0x00, 0x00),
    (0xE6, 0x9F, 0x00),
    (0x56, 0xB4, 0xE9),
    (0x00, 0x9E, 0x73),
    (0xF0, 0xE4, 0x42),
    (0x00, 0x72, 0xB2),
    (0xD5, 0x5E, 0x00),
    (0xCC, 0x79, 0xA7),
)
MOST_CLASSES = 255
IGNORED = (0x80, 0x80, 0x80)
Colour = tuple[int, int, int]
_APART = 90  # the least distance of a further colour from those above, in units of 0 to 255


@dataclass(frozen=True)
class ClassColours:
    """How the classes of a data set are painted.

    Args:
        colours: of each class.
        ignored: the label of ignored pixels, which are grey.
        background: the class that is the background, 0; None: the first class is like the others.
    """

    colours: tuple[Colour, ...]
    ignored: int = 255
    background: int | None = 0

    def legend(self, names: Sequence[str]) -> list[tuple[str, Colour]]:
        """The name and the colour of each class."""
        return [*zip(names, self.colours, strict=True)]


def class_colours(
    names: Sequence[str],
    ignored: int = 255,
    background: int | None = 0,
    palette: Mapping[str, Sequence[int]] | None = None,
) -> ClassColours:
    """The colours of classes.

    Args:
        names: of the classes.
        ignored: the label of ignored pixels.
        background: 0 if the first class is the background, which is black; None if it is not.
        palette: the colours [r, g, b] that a data set's masks have, by the classes' names.
    """
    own = {str(name): tuple(map(int, colour)) for name, colour in (palette or {}).items()}
    first = 0 if background is not None else 1
    found = []
    for label, name in enumerate(map(str, names)):
        red, green, blue = own.get(name) or class_colour((label + first) % MOST_CLASSES)
        found.append((red, green, blue))
    return ClassColours(tuple(found), ignored, background)


def class_colour(label: int) -> Colour:
    """Red, green and blue (0 to 255) of a class, 0 to 254; no two classes share a colour.

    After the palette come the colours of Glasbey et al. (2007), each as unlike those before it as
    possible, from the package colorcet, without those that are near the palette's.
    """
    return PALETTE[label] if label < len(PALETTE) else _further()[label - len(PALETTE)]


@cache
def _further() -> list[Colour]:
    from colorcet import glasbey_bw_minc_20  # takes a third of a second to import, and few need it

    found: list[Colour] = []
    for red, green, blue in glasbey_bw_minc_20:  # each 0 to 1
        found.append((round(255 * red), round(255 * green), round(255 * blue)))
    near = {colour for colour in found if any(_distance(colour, p) < _APART for p in _TAKEN)}
    apart = [colour for colour in found if colour not in near]
    rest = [colour for colour in found if colour in near and colour not in _TAKEN]
    return [*apart, *rest]


_TAKEN = (*PALETTE, IGNORED)


def _distance(one: Colour, other: Colour) -> float:
    """How unlike two colours are, with the eye's weights of red, green and blue ("redmean")."""
    red = (one[0] + other[0]) / 2
    weights = 2 + red / 256, 4.0, 2 + (255 - red) / 256
    pairs = zip(weights, one, other, strict=True)
    return float(sum(weight * (a - b) ** 2 for weight, a, b in pairs) ** 0.5)
