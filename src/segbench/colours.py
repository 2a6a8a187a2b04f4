"""The colours of classes in all pictures and figures."""

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
IGNORED = (0x80, 0x80, 0x80)


def class_colour(label: int) -> tuple[int, int, int]:
    """Red, green and blue (0 to 255) of a class; black is background, seven others repeat."""
    return PALETTE[(label - 1) % (len(PALETTE) - 1) + 1] if label else PALETTE[0]
