"""Pictures of pages made small: a browser writes 32 bits a pixel, a page of text needs 8."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def smaller(png):
    """The same picture with a palette; colours that are nearly alike become one."""
    width, height, channels, lines = pixels(png)
    step = 1
    while True:
        rows, palette = indexed(width, channels, lines, step)
        if rows is not None:
            break
        step *= 2
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    parts = [(b"IHDR", header), (b"PLTE", b"".join(palette)), (b"IDAT", data), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(kind, content) for kind, content in parts)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def indexed(width, channels, lines, step):
    """Rows of palette indices, or None when there are more than 256 colours."""
    index, rows = {}, []
    for line in lines:
        row = bytearray(width)
        for x in range(width):
            colour = bytes(min(255, (value + step // 2) // step * step) for value in line[x * channels : x * channels + 3])
            if colour not in index:
                if len(index) == 256:
                    return None, None
                index[colour] = len(index)
            row[x] = index[colour]
        rows.append(bytes(row))
    return rows, list(index)


def pixels(png):
    """Width, height, bytes a pixel, and the lines with their filters undone (PNG, section 9)."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    channels = {2: 3, 6: 4}[kind]
    if depth != 8 or png[28] != 0:
        raise ValueError("a picture of 8 bits a channel, not interlaced, is needed")
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw, stride = zlib.decompress(data), width * channels
    lines, above = [], bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        line = bytearray(raw[start + 1 : start + 1 + stride])
        undo(raw[start], line, above, channels)
        lines.append(line)
        above = line
    return width, height, channels, lines


def undo(kind, line, above, channels):
    if kind == 0:
        return
    for x in range(len(line)):
        left = line[x - channels] if x >= channels else 0
        up, corner = above[x], above[x - channels] if x >= channels else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            nearest = left + up - corner
            guess = min((left, up, corner), key=lambda value: abs(nearest - value))
        line[x] = (line[x] + guess) & 255
