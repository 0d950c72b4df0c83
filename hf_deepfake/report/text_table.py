"""Tables of text, as commands print them."""


def align(rows: list[list[str]]) -> list[str]:
    """Lay out a table.

    Args:
        rows: cells of each line, as many in each.

    Returns:
        The lines; a column is as wide as its widest cell.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
