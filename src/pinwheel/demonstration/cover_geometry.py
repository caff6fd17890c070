"""Covers built from geometry: grids, circles, triangles, stripes and plain type. Each draws on
320 × 480."""

from math import cos, pi, sin
from random import Random

from pinwheel.demonstration.lettering import SANS, SERIF, fit, is_cjk, paint
from pinwheel.demonstration.palettes import Palette, mix

W, H = 320, 480


def rect(x: float, y: float, w: float, h: float, fill: str, extra: str = "") -> str:
    return f'<path d="M{x:g} {y:g}h{w:g}v{h:g}h{-w:g}z" fill="{fill}"{extra}/>'


def disc(x: float, y: float, r: float, fill: str, extra: str = "") -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{r:g}" fill="{fill}"{extra}/>'


def line_of(
    sub: str, x: float, y: float, fill: str, anchor: str = "start", room: float = 250
) -> str:
    """The small line under a title, at most two lines high."""
    if not sub:
        return ""
    block = fit(sub, room, 40, 15, 11, 1.3)
    return paint(block, x, y, fill, anchor, SANS, 400)


def swiss(r: Random, p: Palette, title: str, sub: str) -> str:
    """A grid of eight, one big shape cut by the edge, grotesque type flush left."""
    block = fit(title, 268, 190, 50)
    shapes = [
        disc(W * r.choice((0.2, 0.8, 1)), 470, r.choice((150, 175, 200)), p.a),
        rect(0, 250, W * r.choice((0.5, 0.625)), 230, p.a) + disc(W * 0.5, 365, 115, p.b),
        f'<path d="M0 480V300L320 {r.choice((230, 260))}V480z" fill="{p.a}"/>'
        + disc(r.choice((70, 250)), 300, 46, p.b),
        rect(160, 240, 160, 240, p.a)
        + f'<path d="M160 480a160 160 0 0 1 160-160v160z" fill="{p.b}"/>',
    ]
    rule = rect(26, 30, 268, 5, p.ink)
    return (
        r.choice(shapes)
        + rule
        + paint(block, 26, 48, p.ink, family=SANS, weight=800)
        + line_of(sub, 26, 56 + block.height, p.ink)
    )


def midcentury(r: Random, p: Palette, title: str, sub: str) -> str:
    """Overlapping cut paper, as on the shelves of the nineteen-fifties."""
    out = []
    for i in range(r.randint(4, 6)):
        x, y, s = r.randint(20, 300), r.randint(10, 250), r.randint(50, 115)
        fill = (p.a, p.b, p.c)[i % 3]
        out.append(
            r.choice(
                (
                    disc(x, y, s * 0.7, fill, ' opacity=".88"'),
                    f'<path d="M{x - s} {y}a{s} {s} 0 0 1 {2 * s} 0z" fill="{fill}" opacity=".9" '
                    f'transform="rotate({r.choice((0, 90, 180, 45))} {x} {y})"/>',
                    f'<ellipse cx="{x}" cy="{y}" rx="{s * 0.34:.0f}" ry="{s}" fill="{fill}" '
                    f'opacity=".9" transform="rotate({r.randint(-50, 50)} {x} {y})"/>',
                )
            )
        )
    block = fit(title, 256, 130, 40)
    top = 300 + (110 - block.height) / 2
    return (
        "".join(out)
        + rect(0, 286, W, 194, p.ground)
        + paint(block, 160, top, p.ink, "middle")
        + line_of(sub, 160, top + block.height + 8, p.ink, "middle")
    )


def concentric(r: Random, p: Palette, title: str, sub: str) -> str:
    """Rings around one point, the title in a band of calm."""
    x, y = r.choice(((160, 170), (60, 130), (260, 130), (160, 0)))
    step = r.choice((16, 20, 26))
    rings = "".join(
        disc(x, y, n * step, (p.a, p.ground, p.b, p.ground)[n % 4])
        for n in range(330 // step, 0, -1)
    )
    block = fit(title, 262, 92 if sub else 114, 42)
    return (
        rings
        + disc(x, y, step * 0.6, p.c)
        + rect(0, 300, W, 180, p.ground)
        + rect(0, 300, W, 4, p.ink)
        + paint(block, 28, 318, p.ink)
        + line_of(sub, 28, 326 + block.height, p.ink)
    )


def quilt(r: Random, p: Palette, title: str, sub: str) -> str:
    """Triangles turned in a square grid: pinwheels where four of them agree."""
    n = r.choice((4, 5))
    s = W / n
    order = r.choice(((0, 1, 3, 2), (0, 2, 1, 3), (2, 3, 1, 0)))
    tilt = [f"M0 0h{s:g}v{s:g}z", f"M{s:g} 0v{s:g}H0z", f"M{s:g} {s:g}H0V0z", f"M0 {s:g}V0h{s:g}z"]
    fills, cells = (p.a, p.b, p.c), []
    odd = r.random() < 0.35
    rows = int(288 / s)
    for j in range(rows):
        for i in range(n):
            kind = r.randrange(4) if odd else order[(i % 2) + 2 * (j % 2)]
            fill = fills[((i // 2) + (j // 2) + (r.random() < 0.2)) % 3]
            cells.append(
                f'<path transform="translate({i * s:g} {j * s:g})" d="{tilt[kind]}" fill="{fill}"/>'
            )
    top = rows * s
    block = fit(title, 264, H - top - 92, 38)
    return (
        "".join(cells)
        + paint(block, 28, top + 20, p.ink, family=SANS, weight=800)
        + line_of(sub, 28, top + 26 + block.height, p.ink)
    )


def arcs(r: Random, p: Palette, title: str, sub: str) -> str:
    """Quarter circles in a grid, the tiles of a bath house or of a modern school."""
    s, cells = 80, []
    for j in range(6):
        for i in range(4):
            if j in (2, 3):
                continue
            x, y, turn = i * s, j * s, r.randrange(4) * 90
            back, front = r.sample((p.a, p.b, p.c, mix(p.ground, p.ink, 0.12)), 2)
            cells.append(
                rect(x, y, s, s, back)
                + f'<path d="M{x} {y}h{s}a{s} {s} 0 0 1-{s} {s}z" fill="{front}" '
                f'transform="rotate({turn} {x + 40} {y + 40})"/>'
            )
    block = fit(title, 276, 116, 40)
    top = 160 + (160 - block.height - (22 if sub else 0)) / 2
    return (
        "".join(cells)
        + paint(block, 160, top, p.ink, "middle", SANS, 800)
        + line_of(sub, 160, top + block.height + 5, p.ink, "middle", 280)
    )


def type_only(r: Random, p: Palette, title: str, sub: str) -> str:
    """Nothing but the title, as large as it goes."""
    family, weight = r.choice(((SERIF, 700), (SANS, 800)))
    block = fit(title, 268, 320, 96, 20, 1.16 if is_cjk(title) else 0.98)
    colours = (p.ink, mix(p.a, p.ink, 0.25))
    rule = r.choice((rect(26, 28, 60, 6, p.b), rect(26, 28, 268, 2, p.ink), disc(38, 36, 12, p.b)))
    s = min(150, 360 - block.height)
    low = r.choice(
        (
            f'<path d="M{320 - s:g} 480a{s:g} {s:g} 0 0 1 {s:g}-{s:g}v{s:g}z" fill="{p.b}"/>',
            disc(320 - s * 0.6, 480 - s * 0.55, s * 0.42, p.a),
            f'<path d="M320 {480 - s:g}V480H{320 - s:g}z" fill="{p.a}"/>',
        )
    )
    return (
        (low if s > 40 else "")
        + rule
        + paint(block, 26, 58, colours[0], family=family, weight=weight)
        + line_of(sub, 26, 70 + block.height, p.ink)
    )


def stripes(r: Random, p: Palette, title: str, sub: str) -> str:
    """Stripes of a deck-chair or of shirting, with a label laid on."""
    fills = (p.a, p.ground, p.b, p.ground, p.c, p.ground)
    out, x, i = [], 0, r.randrange(3) * 2
    while x < W:
        step = r.choice((6, 10, 18, 30))
        out.append(rect(x, 0, step, H, fills[i % 6]))
        x, i = x + step, i + 1
    if r.random() < 0.35:
        out = [
            f'<g transform="rotate(-90 160 240) translate(-80 80) scale(1.5 1)">{"".join(out)}</g>'
        ]
    block = fit(title, 208, 150, 36)
    tall = block.height + (62 if sub else 36)
    top = 190 - tall / 2
    return (
        "".join(out)
        + rect(40, top, 240, tall, p.ground)
        + rect(46, top + 6, 228, tall - 12, "none", f' stroke="{p.ink}"')
        + paint(block, 160, top + 18, p.ink, "middle")
        + line_of(sub, 160, top + 24 + block.height, p.ink, "middle", 208)
    )


def orbit(r: Random, p: Palette, title: str, sub: str) -> str:
    """Points on ellipses round a body: atoms, planets, ideas."""
    x, y = 160, 180
    tilt = r.randint(-40, 40)
    out = []
    for n in range(r.randint(3, 5)):
        rx, ry, turn = 70 + n * 28, 26 + n * 12, tilt + n * r.choice((0, 30, 36))
        at = r.random() * 2 * pi
        out.append(
            f'<g transform="rotate({turn} {x} {y})"><ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" '
            f'fill="none" stroke="{p.ink}" stroke-width="1.5"/>'
            + disc(round(x + rx * cos(at)), round(y + ry * sin(at)), r.randint(5, 11), p.b)
            + "</g>"
        )
    block = fit(title, 268, 86 if sub else 106, 38)
    return (
        disc(x, y, 44, p.a)
        + "".join(out)
        + paint(block, 26, 326, p.ink, family=SANS, weight=800)
        + line_of(sub, 26, 332 + block.height, p.ink)
    )


def interference(r: Random, p: Palette, title: str, sub: str) -> str:
    """Sine lines that drift out of step."""
    out = []
    amp, drift = r.randint(16, 34), r.uniform(0.1, 0.28)
    for n in range(17):
        y, phase = 196 + n * 14, n * drift
        points = [(i * 40, y + amp * sin(i * 0.9 + phase) * (0.3 + n / 17)) for i in range(9)]
        path = f"M0 {points[0][1]:.0f}" + "".join(
            f"S{px - 16} {py:.0f} {px} {py:.0f}" for px, py in points[1:]
        )
        out.append(f'<path d="{path}" stroke="{(p.a, p.b)[n % 5 == 2]}"/>')
    block = fit(title, 268, 120, 42)
    return (
        f'<g fill="none" stroke-width="4">{"".join(out)}</g>'
        + paint(block, 26, 34, p.ink)
        + line_of(sub, 26, 42 + block.height, p.ink)
    )


def blocks(r: Random, p: Palette, title: str, sub: str) -> str:
    """Houses and towers with lit windows."""
    out, x = [], -6
    while x < W:
        w, h = r.randint(34, 66), r.randint(70, 225)
        fill = r.choice((p.a, p.b, mix(p.a, p.ink, 0.45), mix(p.ground, p.ink, 0.3)))
        out.append(rect(x, 440 - h, w, h + 40, fill))
        d = "".join(
            f"M{x + 7 + 13 * i} {452 - h + 18 * j}h6v9h-6z"
            for i in range((w - 8) // 13)
            for j in range(min(7, h // 18))
            if r.random() < 0.5
        )
        out.append(f'<path d="{d}" fill="{p.c}"/>')
        x += w + r.choice((0, 0, 5))
    block = fit(title, 268, 120, 44)
    return (
        "".join(out)
        + rect(0, 428, W, 52, p.ground)
        + paint(block, 26, 30, p.ink, family=SANS, weight=800)
        + line_of(sub, 26, 38 + block.height, p.ink)
    )
