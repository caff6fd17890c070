"""Things to write with, listen with, carry and play with. Each stands on y = 400 of a 400 × 500
drawing."""

from random import Random

from pinwheel.demonstration.tones import COLOURS, CREAM, INK, STEEL, WOOD, WOOD_DARK, Tones


def notebook(t: Tones, r: Random) -> str:
    label = r.choice(
        (
            f'<path d="M168 176h84v52h-84z" fill="{CREAM}"/>'
            f'<path d="M182 194h56M182 208h38" stroke="{INK}" stroke-width="4"/>',
            f'<circle cx="208" cy="220" r="34" fill="{t.light}"/>',
            f'<path d="M150 300l60-110l60 110z" fill="{t.light}"/>',
        )
    )
    return (
        f'<path d="M128 120h156q12 0 12 12v268H140q-12 0-12-12z" fill="{CREAM}"/>'
        f'<path d="M120 112h156q12 0 12 12v256q0 12-12 12H120z" fill="{t.base}"/>'
        f'<path d="M120 112h22v280h-22z" fill="{t.dark}"/>'
        f'{label}<path d="M262 112h9v280h-9z" fill="{INK}" opacity=".75"/>'
        '<path d="M178 392v34l8-9l8 9v-34z" fill="#b3301f"/>'
    )


def planner(t: Tones, r: Random) -> str:
    cells = "".join(
        f'<path d="M{118 + (i % 6) * 28} {218 + (i // 6) * 30}h18v18h-18z" '
        f'fill="{t.base if i == r.randrange(24) else "#e4dac6"}"/>'
        for i in range(30)
    )
    return (
        f'<path d="M200 400L84 400l30-16h172l30 16z" fill="{t.dark}"/>'
        f'<path d="M98 140h204q8 0 8 8v236q0 8-8 8H98q-8 0-8-8V148q0-8 8-8z" fill="{CREAM}"/>'
        f'<path d="M98 140h204q8 0 8 8v52H90v-52q0-8 8-8z" fill="{t.base}"/>{cells}'
        + "".join(
            f'<path d="M{116 + i * 24} 126v30" stroke="{INK}" stroke-width="5" '
            'stroke-linecap="round"/>'
            for i in range(8)
        )
    )


def pen(t: Tones, r: Random) -> str:
    return (
        f'<g transform="rotate({r.choice((28, 36))} 200 260)">'
        f'<path d="M184 110q16-18 32 0v140h-32z" fill="{t.dark}"/>'
        f'<path d="M180 246h40v96h-40z" fill="{t.base}"/>'
        f'<path d="M206 246h14v96h-14z" fill="{t.dark}" opacity=".4"/>'
        '<path d="M178 240h44v10h-44z" fill="#d9b45a"/>'
        f'<path d="M184 342h32l-10 42h-12z" fill="{INK}"/>'
        '<path d="M192 384h16l-8 32z" fill="#d9b45a"/>'
        '<path d="M220 120h9v96l-5 6l-4-6z" fill="#d9b45a"/></g>'
    )


def pencils(t: Tones, r: Random) -> str:
    tones = [t.base, *r.sample([c for c in COLOURS.values() if c != t.base], 4)]
    sticks = "".join(
        f'<g transform="rotate({-16 + i * 8} 200 330)">'
        f'<path d="M{158 + i * 18} {128 + (i % 2) * 16}h16v180h-16z" fill="{c}"/>'
        f'<path d="M{158 + i * 18} {128 + (i % 2) * 16}l8-26l8 26z" fill="{WOOD}"/>'
        f'<path d="M{163 + i * 18} {112 + (i % 2) * 16}l3-10l3 10z" fill="{c}"/></g>'
        for i, c in enumerate(tones)
    )
    return (
        f'{sticks}<path d="M142 262h116v124q0 14-14 14h-88q-14 0-14-14z" fill="{t.base}"/>'
        f'<path d="M222 262h36v124q0 14-14 14h-22z" fill="{t.dark}" opacity=".35"/>'
        f'<path d="M142 276h116v12H142z" fill="{t.light}"/>'
    )


def headphones(t: Tones, r: Random) -> str:
    return (
        f'<path d="M104 300V250a96 96 0 0 1 192 0v50" fill="none" stroke="{INK}" '
        'stroke-width="16"/><path d="M112 240a88 88 0 0 1 176 0" fill="none" '
        f'stroke="{t.light}" stroke-width="7"/>'
        f'<rect x="80" y="276" width="62" height="112" rx="28" fill="{t.base}"/>'
        f'<rect x="258" y="276" width="62" height="112" rx="28" fill="{t.base}"/>'
        f'<rect x="126" y="286" width="26" height="92" rx="13" fill="{INK}"/>'
        f'<rect x="248" y="286" width="26" height="92" rx="13" fill="{INK}"/>'
        f'<circle cx="104" cy="332" r="{r.choice((12, 15))}" fill="{t.dark}"/>'
        f'<circle cx="296" cy="332" r="13" fill="{t.dark}"/>'
    )


def speaker(t: Tones, r: Random) -> str:
    holes = "".join(
        f'<circle cx="{152 + (i % 7) * 16}" cy="{186 + (i // 7) * 16}" r="3.5"/>' for i in range(35)
    )
    return (
        f'<rect x="122" y="150" width="156" height="250" rx="20" fill="{t.base}"/>'
        f'<rect x="134" y="164" width="132" height="222" rx="12" fill="{t.dark}"/>'
        f'<g fill="{t.light}">{holes}</g><circle cx="200" cy="320" r="46" fill="{INK}"/>'
        f'<circle cx="200" cy="320" r="{r.choice((20, 28))}" fill="{t.light}"/>'
    )


def radio(t: Tones, r: Random) -> str:
    grille = "".join(f"M{104 + i * 12} 262v88" for i in range(10))
    return (
        f'<path d="M276 216l34-106" stroke="{STEEL}" stroke-width="5"/>'
        f'<rect x="82" y="212" width="236" height="188" rx="22" fill="{WOOD}"/>'
        f'<rect x="94" y="224" width="212" height="164" rx="14" fill="{t.base}"/>'
        f'<path d="{grille}" stroke="{t.dark}" stroke-width="6" stroke-linecap="round"/>'
        f'<circle cx="266" cy="286" r="30" fill="{CREAM}"/>'
        f'<path d="M266 286l{r.choice((14, -12))}-16" stroke="#b3301f" stroke-width="4"/>'
        f'<circle cx="250" cy="352" r="10" fill="{INK}"/>'
        f'<circle cx="282" cy="352" r="10" fill="{INK}"/>'
    )


def tote(t: Tones, r: Random) -> str:
    art = r.choice(
        (
            f'<g transform="translate(200 312) scale(2.6)" fill="{t.base}">'
            '<path d="M0 0V-14H13zM0 0H14V13zM0 0V14H-13zM0 0H-14V-13z"/></g>',
            f'<path d="M148 348h104M148 330h104M166 312h68M150 294h100" stroke="{t.base}" '
            'stroke-width="9"/>',
            f'<circle cx="200" cy="316" r="38" fill="{t.base}"/>'
            f'<path d="M162 316a38 38 0 0 0 76 0z" fill="{t.dark}"/>',
        )
    )
    return (
        f'<path d="M154 240V170q0-52 46-52t46 52v70" fill="none" stroke="{t.dark}" '
        'stroke-width="13"/><path d="M114 230h172l14 158q0 12-12 12H112q-12 0-12-12z" '
        f'fill="{CREAM}"/>'
        f'<path d="M252 230h34l14 158q0 12-12 12h-36q14-80 0-170z" fill="{INK}" '
        f'opacity=".08"/><path d="M114 230h172l1 14H113z" fill="{t.base}"/>{art}'
    )


def backpack(t: Tones, r: Random) -> str:
    return (
        f'<path d="M172 138q0-30 28-30t28 30" fill="none" stroke="{t.dark}" '
        'stroke-width="12"/><path d="M104 250h24v112h-24q-8-60 0-112zM272 250h24q8 60 0 '
        f'112h-24z" fill="{t.dark}"/>'
        '<path d="M122 214q0-84 78-84t78 84v168q0 18-18 18H140q-18 0-18-18z" '
        f'fill="{t.base}"/><path d="M122 222q78 40 156 0v-8q0-84-78-84t-78 84z" '
        f'fill="{t.light}"/>'
        f'<path d="M146 296h108v72q0 14-14 14h-80q-14 0-14-14z" fill="{t.dark}"/>'
        f'<path d="M146 312h108" stroke="{t.light}" stroke-width="4"/>'
        f'<path d="M192 232h16v{r.choice((34, 44))}h-16z" fill="{WOOD_DARK}"/>'
    )


def pouch(t: Tones, r: Random) -> str:
    return (
        '<path d="M92 254q0-22 22-22h172q22 0 22 22v122q0 24-24 24H116q-24 0-24-24z" '
        f'fill="{t.base}"/><path d="M92 268h216" stroke="{t.dark}" stroke-width="8"/>'
        '<path d="M108 268h184" stroke="#d9b45a" stroke-width="3" stroke-dasharray="5 4"/>'
        '<path d="M286 268l22 34l-12 8l-20-36z" fill="#d9b45a"/>'
        f'<path d="M200 300h70v{r.choice((30, 42))}h-70z" fill="{CREAM}"/>'
    )


def umbrella(t: Tones, r: Random) -> str:
    return (
        f'<path d="M200 150v220q0 30-26 30t-26-26" fill="none" stroke="{WOOD_DARK}" '
        'stroke-width="10" stroke-linecap="round"/>'
        '<path d="M68 262Q78 128 200 120Q322 128 332 262q-34-28-66 0q-32-28-66 0q-34-28-66 '
        f'0q-32-28-66 0z" fill="{t.base}"/>'
        '<path d="M134 262Q140 156 200 120Q260 156 266 262q-32-28-66 0q-34-28-66 0z" '
        f'fill="{t.light}"/><path d="M196 96h8v28h-8z" fill="{INK}"/>'
    )


def boardgame(t: Tones, r: Random) -> str:
    cells = "".join(
        f'<path d="M{118 + (i % 4) * 30} {206 + (i // 4) * 30}h30v30h-30z" '
        f'fill="{(t.light, CREAM)[(i + i // 4) % 2]}"/>'
        for i in range(16)
    )
    return (
        f'<path d="M92 184h180l36 22v194H128l-36-22z" fill="{t.dark}"/>'
        f'<path d="M92 180h182v198H92z" fill="{t.base}"/>'
        f'{cells}<path d="M118 344h120" stroke="{CREAM}" stroke-width="9"/>'
        f'<g fill="{r.choice(("#c4553a", "#dda23a"))}"><circle cx="318" cy="330" r="16"/>'
        '<path d="M318 338l24 62h-48z"/></g><rect x="246" y="364" width="36" height="36" '
        f'rx="7" fill="{CREAM}"/><g fill="{INK}"><circle cx="256" cy="374" r="4"/>'
        '<circle cx="272" cy="390" r="4"/></g>'
    )


def puzzle(t: Tones, r: Random) -> str:
    piece = "M0 0h26q-6-22 12-22t12 22h26v26q22-6 22 12t-22 12v26H50q6 20-12 20t-12-20H0z"
    fills = [t.base, t.light, t.dark, "#dda23a"]
    r.shuffle(fills)
    return "".join(
        f'<path transform="translate({x} {y}) rotate({turn} 38 38)" d="{piece}" fill="{f}"/>'
        for (x, y, turn), f in zip(
            ((118, 216, 0), (206, 216, 0), (118, 304, 0), (220, 318, r.choice((12, 18)))),
            fills,
            strict=True,
        )
    )


def toy_blocks(t: Tones, r: Random) -> str:
    a, b = r.sample([COLOURS["ochre"], COLOURS["brick"], COLOURS["sky"], COLOURS["sage"]], 2)
    return (
        f'<path d="M104 312h88v88h-88z" fill="{t.base}"/>'
        f'<path d="M204 312h88v88h-88z" fill="{a}"/><path d="M148 216h96v96h-96z" fill="{b}"/>'
        f'<path d="M148 216l48-76l48 76z" fill="{t.light}"/>'
        f'<path d="M122 400v-36a26 26 0 0 1 52 0v36z" fill="{CREAM}"/>'
        f'<circle cx="248" cy="356" r="22" fill="{CREAM}"/>'
        f'<path d="M174 288l22-44l22 44z" fill="{CREAM}"/>'
    )


def plush(t: Tones, r: Random) -> str:
    ears = r.choice(
        (
            f'<circle cx="148" cy="160" r="26" fill="{t.base}"/>'
            f'<circle cx="252" cy="160" r="26" fill="{t.base}"/>'
            f'<circle cx="148" cy="160" r="13" fill="{t.light}"/>'
            f'<circle cx="252" cy="160" r="13" fill="{t.light}"/>',
            f'<ellipse cx="168" cy="132" rx="18" ry="54" fill="{t.base}"/>'
            f'<ellipse cx="232" cy="132" rx="18" ry="54" fill="{t.base}"/>'
            f'<ellipse cx="168" cy="136" rx="8" ry="38" fill="{t.light}"/>'
            f'<ellipse cx="232" cy="136" rx="8" ry="38" fill="{t.light}"/>',
        )
    )
    return (
        f'{ears}<ellipse cx="200" cy="338" rx="74" ry="64" fill="{t.base}"/>'
        f'<ellipse cx="146" cy="382" rx="32" ry="20" fill="{t.dark}"/>'
        f'<ellipse cx="254" cy="382" rx="32" ry="20" fill="{t.dark}"/>'
        f'<circle cx="200" cy="220" r="72" fill="{t.base}"/>'
        f'<ellipse cx="200" cy="340" rx="42" ry="38" fill="{t.light}"/>'
        f'<ellipse cx="200" cy="242" rx="32" ry="24" fill="{t.light}"/>'
        f'<g fill="{INK}"><circle cx="174" cy="212" r="7"/><circle cx="226" cy="212" r="7"/>'
        '<ellipse cx="200" cy="234" rx="9" ry="6"/></g>'
        f'<path d="M200 240v10m-10 2q10 8 20 0" fill="none" stroke="{INK}" stroke-width="3" '
        'stroke-linecap="round"/>'
    )


def bookend(t: Tones, r: Random) -> str:
    spines, x = [], 112
    for i in range(5):
        w, h = r.randint(22, 34), r.randint(150, 206)
        c = list(COLOURS.values())[r.randrange(10)]
        spines.append(
            f'<path d="M{x} {388 - h}h{w}v{h}h{-w}z" fill="{c}"/>'
            f'<path d="M{x} {388 - h + 24 + i * 3}h{w}v8h{-w}z" fill="{CREAM}" opacity=".8"/>'
        )
        x += w + 2
    return (
        f'{"".join(spines)}<path d="M{x} 220h18v168h{96 - 18}v12H{x - 40}v-12h40z" '
        f'fill="{t.base}"/><path d="M{x} 220q54 20 60 100v68h-60z" fill="{t.base}"/>'
        f'<path d="M{x + 14} 270q24 20 28 60v40h-28z" fill="{t.light}"/>'
        f'<path d="M100 388h{x - 100}v12H100z" fill="{t.dark}"/>'
    )


LIFE = {
    "notebook": notebook,
    "planner": planner,
    "pen": pen,
    "pencils": pencils,
    "headphones": headphones,
    "speaker": speaker,
    "radio": radio,
    "tote": tote,
    "backpack": backpack,
    "pouch": pouch,
    "umbrella": umbrella,
    "boardgame": boardgame,
    "puzzle": puzzle,
    "toy_blocks": toy_blocks,
    "plush": plush,
    "bookend": bookend,
}
