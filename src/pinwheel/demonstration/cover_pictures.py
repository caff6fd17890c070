"""Covers that show something: leaves, hills, waves, a moon gate, a still life, a seal. Each draws
on 320 × 480."""

from itertools import pairwise
from math import cos, pi, sin
from random import Random

from pinwheel.demonstration.cover_geometry import H, W, disc, line_of, rect
from pinwheel.demonstration.lettering import SERIF, fit, is_cjk, paint, upright
from pinwheel.demonstration.palettes import Palette, mix


def centred(title: str, sub: str, p: Palette, y: float, tall: float, size: float = 38) -> str:
    """A serif title in the middle of a box, its small line below."""
    block = fit(title, 262, tall - (24 if sub else 0), size)
    top = y + (tall - block.height - (24 if sub else 0)) / 2
    below = line_of(sub, 160, top + block.height + 6, p.ink, "middle", 262)
    return paint(block, 160, top, p.ink, "middle") + below


def botanical(r: Random, p: Palette, title: str, sub: str) -> str:
    """A stem with leaves in pairs, drawn in one weight, one leaf coloured."""
    bend = r.choice((-1, 1)) * r.randint(18, 46)
    n, long = r.randint(6, 8), r.randint(46, 64)
    leaves, chosen = [], r.sample(range(12), 4)
    for i in range(n):
        t = i / n
        x, y = 160 + bend * sin(t * pi) * 0.8, 296 - 250 * t
        size = long * (1 - t * 0.55)
        for side in (-1, 1):
            fill = (
                p.b
                if (2 * i + (side > 0)) in chosen
                else r.choice((p.a, p.a, mix(p.a, p.ground, 0.4)))
            )
            leaves.append(
                f'<path transform="translate({x:.0f} {y:.0f}) rotate({side * (58 - 26 * t):.0f}) '
                f'scale({size / 60:.2f})" d="M0 0C-18-22-14-48 0-62C14-48 18-22 0 0z" '
                f'fill="{fill}"/>'
            )
    stem = (
        f'<path d="M160 310Q{160 + bend * 1.4:.0f} 180 160 40" fill="none" stroke="{p.a}" '
        'stroke-width="3"/>'
    )
    berries = "".join(
        disc(r.randint(70, 250), r.randint(50, 270), r.choice((3, 4, 5)), p.c) for _ in range(7)
    )
    return berries + stem + "".join(leaves) + centred(title, sub, p, 318, 118)


def woodcut(r: Random, p: Palette, title: str, sub: str) -> str:
    """A sun with rays over cut furrows."""
    x, y = r.choice((90, 160, 230)), 196
    rays = "".join(
        f"M{x + 58 * cos(a):.0f} {y + 58 * sin(a):.0f}L{x + 300 * cos(a - 0.035):.0f} "
        f"{y + 300 * sin(a - 0.035):.0f}L{x + 300 * cos(a + 0.035):.0f} "
        f"{y + 300 * sin(a + 0.035):.0f}z"
        for a in (2 * pi * k / 26 for k in range(26))
    )
    furrows = "".join(
        f'<path d="M0 {250 + k * 16}Q{100 + k * 4} {222 + k * 15 - r.randint(0, 14)} 160 '
        f"{250 + k * 15}"
        f'T320 {246 + k * 16}" stroke-width="{3 + k * 0.8:.1f}"/>'
        for k in range(9)
    )
    return (
        rect(0, 0, W, H, p.ground)
        + f'<path d="{rays}" fill="{mix(p.ground, p.c, 0.55)}"/>'
        + disc(x, y, 46, p.b)
        + f'<path d="M0 262Q80 210 170 252T320 244V386H0z" fill="{p.ground}"/>'
        + f'<g fill="none" stroke="{p.a}">{furrows}</g>'
        + rect(0, 356, W, 124, p.ground)
        + rect(0, 0, W, 8, p.a)
        + centred(title, sub, p, 360, 84, 32)
    )


def seigaiha(r: Random, p: Palette, title: str, sub: str) -> str:
    """Overlapping wave scales under a moon."""
    s, out = 32, []
    name = f"w{r.randrange(10**6)}"
    for row in range(7):
        y = 290 + row * 16
        for i in range(-1, 6):
            x = i * 64 + (row % 2) * s
            out.append(f'<use href="#{name}" x="{x + 32}" y="{y}"/>')
    scale = "".join(
        f'<circle r="{q}" fill="{f}"/>'
        for q, f in ((32, p.ground), (30, p.a), (22, p.ground), (20, p.a), (12, p.ground), (9, p.b))
    )
    moon = disc(r.choice((70, 160, 250)), r.randint(196, 226), r.randint(34, 46), p.c)
    return (
        f'<defs><g id="{name}">{scale}</g></defs>'
        + moon
        + "".join(out)
        + rect(0, 412, W, 68, p.ground)
        + centred(title, sub, p, 30, 136, 42)
    )


def ridges(r: Random, p: Palette, title: str, sub: str) -> str:
    """Hills behind hills, paler with distance, and a low sun."""
    out = [disc(r.randint(70, 250), 214, r.randint(30, 48), p.b)]
    for k in range(5):
        base, step = 236 + k * 38, r.choice((46, 58, 76))
        tops = [(x, base - r.randint(0, 58 - k * 6)) for x in range(-step, W + 2 * step, step)]
        d = f"M{tops[0][0]} {tops[0][1]}" + "".join(
            f"Q{x} {y} {(x + nx) // 2} {(y + ny) // 2}" for (x, y), (nx, ny) in pairwise(tops)
        )
        out.append(f'<path d="{d}V480H0z" fill="{mix(p.ground, p.a, 0.24 + k * 0.19)}"/>')
    if r.random() < 0.6:
        bx, by = r.randint(40, 250), r.randint(170, 205)
        out.append(
            f'<path d="M{bx} {by}q6-7 11 0q6-7 11 0M{bx + 30} {by - 12}q5-5 9 0q5-5 9 0" '
            f'fill="none" stroke="{p.ink}" stroke-width="1.8"/>'
        )
    return "".join(out) + centred(title, sub, p, 26, 140, 42)


def moon_gate(r: Random, p: Palette, title: str, sub: str) -> str:
    """A round doorway in a garden wall with bamboo behind."""
    cx, cy, q = 160, 190, 122
    canes = []
    for x in r.sample(range(60, 262, 22), 5):
        canes.append(
            f'<path d="M{x} 60V330" stroke="{p.a}" stroke-width="7" stroke-dasharray="44 3"/>'
        )
        for _ in range(5):
            y, side = r.randint(80, 300), r.choice((-1, 1))
            canes.append(
                f'<path d="M{x} {y}q{side * 16} 2 {side * 34} 20q{side * -22}-2 {side * -34}-20z" '
                f'fill="{mix(p.a, p.c, 0.3)}"/>'
            )
    wall = (
        f'<path fill-rule="evenodd" d="M0 0H320V480H0zM{cx - q} {cy}a{q} {q} 0 1 0 {2 * q} 0'
        f'a{q} {q} 0 1 0-{2 * q} 0z" fill="{p.ground}"/>'
        f'<circle cx="{cx}" cy="{cy}" r="{q + 5}" fill="none" stroke="{p.b}" stroke-width="5"/>'
    )
    return (
        rect(30, 60, 260, 260, mix(p.c, p.ground, 0.55))
        + disc(r.choice((110, 215)), 130, 30, mix(p.ground, "#ffffff", 0.5))
        + "".join(canes)
        + wall
        + centred(title, sub, p, 326, 112, 36)
    )


def night(r: Random, p: Palette, title: str, sub: str) -> str:
    """Stars joined into a figure that nobody has named."""
    stars = "".join(
        f'<circle cx="{r.randint(8, 312)}" cy="{r.randint(8, 300)}" '
        f'r="{r.choice((0.8, 1, 1.4, 2))}"/>'
        for _ in range(46)
    )
    at = [(r.randint(30, 90), r.randint(60, 140))]
    while len(at) < 7:
        at.append(
            (
                min(300, at[-1][0] + r.randint(18, 50)),
                max(30, min(280, at[-1][1] + r.randint(-60, 70))),
            )
        )
    figure = "M" + "L".join(f"{x} {y}" for x, y in at)
    knots = "".join(
        disc(x, y, r.choice((4, 5, 7)), p.c if i != 3 else p.b) for i, (x, y) in enumerate(at)
    )
    return (
        f'<g fill="{p.ink}">{stars}</g>'
        + f'<path d="{figure}" fill="none" stroke="{p.ink}" stroke-width="1.2"/>'
        + knots
        + centred(title, sub, p, 306, 124, 42)
    )


def contours(r: Random, p: Palette, title: str, sub: str) -> str:
    """Height lines of a place that is not on a map."""
    x, y = r.randint(90, 230), r.randint(140, 220)
    shape = [r.uniform(0.72, 1.28) for _ in range(8)]
    out: list[str] = []
    for n in range(9):
        q = 20 + n * 24
        pts = [
            (x + q * s * cos(k * pi / 4), y + q * s * sin(k * pi / 4) * 0.86)
            for k, s in enumerate(shape)
        ]
        mids = [
            ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
            for a, b in zip(pts, pts[1:] + pts[:1], strict=True)
        ]
        d = f"M{mids[-1][0]:.0f} {mids[-1][1]:.0f}" + "".join(
            f"Q{a[0]:.0f} {a[1]:.0f} {m[0]:.0f} {m[1]:.0f}" for a, m in zip(pts, mids, strict=True)
        )
        fill = mix(p.ground, p.a, 0.5 - n * 0.055)
        out.insert(0, f'<path d="{d}z" fill="{fill}" stroke="{p.a}" stroke-width="1.3"/>')
    route = (
        f'<path d="M20 300Q90 250 {x} {y}" fill="none" stroke="{p.b}" stroke-width="3" '
        'stroke-dasharray="7 6"/>'
    )
    return (
        "".join(out)
        + route
        + disc(x, y, 7, p.b)
        + rect(0, 318, W, 162, p.ground)
        + rect(26, 318, 268, 2, p.ink)
        + centred(title, sub, p, 326, 110, 38)
    )


def still_life(r: Random, p: Palette, title: str, sub: str) -> str:
    """A bowl, fruit and a jug, cut from coloured paper."""
    fruit = "".join(
        disc(
            98 + i * 40 + r.randint(-4, 4), 262 - (i % 2) * 16, r.randint(24, 30), (p.b, p.c)[i % 2]
        )
        + f'<path d="M{98 + i * 40} {238 - (i % 2) * 16}q4-12 14-14" fill="none" '
        f'stroke="{p.ink}" stroke-width="2.5"/>'
        for i in range(3)
    )
    bowl = f'<path d="M58 268H232Q226 344 168 346H122Q64 344 58 268z" fill="{p.a}"/>'
    jug = (
        '<path d="M236 346V232Q226 214 240 196H276Q290 214 280 232V346z" '
        f'fill="{mix(p.a, p.ink, 0.4)}"/>'
        '<path d="M280 226q24 4 18 40q-4 18-18 22" fill="none" '
        f'stroke="{mix(p.a, p.ink, 0.4)}" stroke-width="7"/>'
    )
    flipped = ' transform="matrix(-1 0 0 1 320 0)"' if r.random() < 0.5 else ""
    return (
        rect(0, 316, W, 164, mix(p.ground, p.c, 0.35))
        + f"<g{flipped}>{jug}{fruit}{bowl}</g>"
        + rect(0, 372, W, 108, mix(p.ground, p.c, 0.35))
        + centred(title, sub, p, 28, 144, 40)
    )


def seal(r: Random, p: Palette, title: str, sub: str) -> str:
    """A thread-bound book: title slip, stitches along the spine, a red seal. Chinese runs
    downwards."""
    cloth, slip, ink = r.choice(
        (
            ("#24414f", "#f4ecd6", "#1c2326"),
            ("#6b2c28", "#f3e8cf", "#231714"),
            ("#35503f", "#f2ecd5", "#172019"),
            ("#c9b68c", "#f8f1de", "#2b2418"),
            ("#2e2c38", "#eee6d2", "#1b1a20"),
        )
    )
    weave = "".join(f"M0 {y}H320" for y in range(6, 480, 12))
    holes = (60, 180, 300, 420)
    stitch = "M286 0V480" + "".join(f"M286 {y}H320" for y in holes)
    mark = (
        '<rect x="{x}" y="{y}" width="34" height="34" rx="3" fill="#b3301f"/>'
        '<path transform="translate({x} {y}) translate(17 17) scale(.8)" fill="#fbf1de" '
        'd="M0 0V-14H13zM0 0H14V13zM0 0V14H-13zM0 0H-14V-13z"/>'
    )
    out = [
        rect(0, 0, W, H, cloth),
        f'<path d="{weave}" stroke="#fff" stroke-opacity=".05" stroke-width="5"/>',
        f'<path d="{stitch}" stroke="{slip}" stroke-width="1.6" fill="none" opacity=".8"/>',
    ]
    if is_cjk(title):
        text, wide = upright(title, 0, 0, 300, ink, 46)
        room = wide + 30
        out.append(rect(26, 30, room, 400, slip))
        out.append(rect(31, 35, room - 10, 390, "none", f' stroke="{ink}" stroke-width="1.2"'))
        out.append(
            "<g "
            f'transform="translate({26 + room - 15 - wide / max(1, round(wide / 50)) / 2:.0f} '
            f'50)">{text}</g>'
        )
        out.append(mark.format(x=round(26 + room / 2 - 17), y=376))
    else:
        block = fit(title, 196, 220, 38)
        tall = block.height + (84 if sub else 60)
        out.append(rect(26, 40, 236, tall, slip))
        out.append(rect(32, 46, 224, tall - 12, "none", f' stroke="{ink}" stroke-width="1.2"'))
        out.append(paint(block, 144, 64, ink, "middle", SERIF))
        out.append(line_of(sub, 144, 72 + block.height, ink, "middle", 196))
        out.append(mark.format(x=127, y=round(56 + tall)))
    return "".join(out)


def cut_leaves(r: Random, p: Palette, title: str, sub: str) -> str:
    """Seaweed shapes cut freehand, scattered round a plain panel."""
    out = []
    for k in range(9):
        x, y = (40 + (k % 3) * 120, 50 + (k // 3) * 190)
        if k // 3 == 1 and k % 3 == 1:
            continue
        lobes = r.choice((5, 6, 7))
        d = "M0 0" + "".join(
            f"C{-9 - r.randint(0, 6)} {-12 - i * 3} {(-1) ** i * (34 - i * 2)} {-18 - i * 15} "
            f"{(-1) ** i * 30} {-24 - i * 13}C{(-1) ** i * 12} {-16 - i * 12} 0 {-10 - i * 9} "
            f"0 {-6 - i * 8}"
            for i in range(lobes)
        )
        out.append(
            f'<path transform="translate({x + r.randint(-14, 14)} {y + r.randint(-10, 30)}) '
            f'rotate({r.randint(0, 359)}) scale(1.5)" d="{d}z" fill="{(p.a, p.b, p.c)[k % 3]}"/>'
        )
    return "".join(out) + rect(34, 158, 252, 164, p.ground) + centred(title, sub, p, 166, 148, 38)


def window(r: Random, p: Palette, title: str, sub: str) -> str:
    """An arched window: sky, sill, a plant or a cat-like shape in it."""
    sky = mix(p.c, p.ground, 0.25)
    x0 = 70
    pane = f"M{x0} 316V150a90 90 0 0 1 180 0V316z"
    thing = r.choice(
        (
            '<path d="M196 316q-4-52 22-66q-2-14 4-24l8 12q8-2 14 2l8-8v26q8 30-2 58z" '
            f'fill="{p.ink}"/>',
            f'<path d="M112 316l-8-40h44l-8 40z" fill="{p.b}"/>'
            '<path d="M126 276q-34-30-26-62q26 14 26 62q0-60 20-82'
            f'q16 36-20 82q8-44 44-50q0 36-44 50z" fill="{p.a}"/>',
            disc(200, 150, 26, mix(p.ground, "#ffffff", 0.6))
            + f'<path d="M70 316V262q60-40 100-8t80-14V316z" fill="{p.a}"/>',
        )
    )
    return (
        f'<path d="{pane}" fill="{sky}"/>'
        + thing
        + f'<path d="{pane}M160 60V316M70 170H250" fill="none" stroke="{p.ink}" stroke-width="5"/>'
        + rect(52, 316, 216, 12, p.ink)
        + centred(title, sub, p, 334, 104, 36)
    )
