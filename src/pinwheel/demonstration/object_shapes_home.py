"""Things for the table, the desk and the room: cups, pots, lamps, plants. Each stands on y = 400
of a 400 × 500 drawing."""

from random import Random

from pinwheel.demonstration.tones import CREAM, INK, LEAF, STEEL, WOOD, WOOD_DARK, Tones


def mug(t: Tones, r: Random) -> str:
    band = (
        f'<path d="M118 {r.choice((270, 320))}h148v26H118z" fill="{CREAM}"/>'
        if r.random() < 0.6
        else ""
    )
    return (
        f'<path d="M262 250c66-8 66 104-6 98" fill="none" stroke="{t.dark}" stroke-width="20"/>'
        f'<path d="M118 214h148v158q0 28-30 28h-88q-30 0-30-28z" fill="{t.base}"/>{band}'
        f'<path d="M226 214h40v158q0 28-30 28h-22q14-20 12-60z" fill="{t.dark}" opacity=".35"/>'
        f'<ellipse cx="192" cy="214" rx="74" ry="17" fill="{t.light}"/>'
        '<ellipse cx="192" cy="216" rx="62" ry="12" fill="#5b3a26"/>'
    )


def teapot(t: Tones, r: Random) -> str:
    handle = r.choice(
        (
            f'<path d="M128 250C84 130 316 130 272 250" fill="none" stroke="{WOOD_DARK}" '
            'stroke-width="13"/>',
            f'<path d="M118 282c-66-14-66 92 12 84" fill="none" stroke="{t.dark}" '
            'stroke-width="16"/>',
        )
    )
    return (
        f'{handle}<path d="M276 330q46-8 54-72l20 4q-4 92-74 112z" fill="{t.dark}"/>'
        f'<path d="M110 312q0-72 90-72t90 72q0 88-60 88h-60q-60 0-60-88z" fill="{t.base}"/>'
        f'<path d="M226 244q64 12 64 68q0 88-60 88h-20q52-40 16-156z" fill="{t.dark}" '
        'opacity=".35"/>'
        f'<path d="M146 250q54-26 108 0q-6 12-54 12t-54-12z" fill="{t.light}"/>'
        f'<circle cx="200" cy="230" r="13" fill="{t.dark}"/>'
        f'<path d="M134 300q6-26 26-34" fill="none" stroke="{t.light}" stroke-width="6" '
        'stroke-linecap="round"/>'
    )


def gaiwan(t: Tones, r: Random) -> str:
    dots = "".join(
        f'<circle cx="{140 + i * 24}" cy="{r.choice((318, 326))}" r="5" fill="{t.base}"/>'
        for i in range(6)
    )
    return (
        f'<path d="M92 378h216q-20 22-60 22h-96q-40 0-60-22z" fill="{t.base}"/>'
        f'<path d="M110 268h180q-6 110-62 114h-56q-56-4-62-114z" fill="{CREAM}"/>'
        f'<path d="M110 268h180l-1 14H111z" fill="{t.base}"/>{dots}'
        f'<path d="M240 284h48q-10 92-60 98q26-30 12-98z" fill="{INK}" opacity=".09"/>'
        f'<path d="M126 262q20-46 74-46t74 46z" fill="{t.base}"/>'
        f'<path d="M182 216l-6-18h48l-6 18z" fill="{t.dark}"/>'
    )


def tin(t: Tones, r: Random) -> str:
    leaf = "M200 296c-26-16-26-44 0-62c26 18 26 46 0 62z"
    return (
        f'<path d="M126 190h148v196q0 14-14 14H140q-14 0-14-14z" fill="{t.base}"/>'
        f'<path d="M232 190h42v196q0 14-14 14h-28z" fill="{t.dark}" opacity=".35"/>'
        f'<path d="M118 156q0-12 12-12h140q12 0 12 12v38H118z" fill="{t.dark}"/>'
        f'<path d="M118 176h164v6H118z" fill="{t.light}" opacity=".6"/>'
        f'<path d="M148 222h104v132H148z" fill="{CREAM}"/><path d="{leaf}" fill="{LEAF}"/>'
        f'<path d="M200 240v72" stroke="{CREAM}" stroke-width="3"/>'
        f'<path d="M164 324h72M176 338h48" stroke="{INK}" stroke-width="{r.choice((4, 5))}"/>'
    )


def kettle(t: Tones, r: Random) -> str:
    return (
        f'<path d="M150 210C140 130 260 130 250 210" fill="none" stroke="{INK}" stroke-width="14"/>'
        f'<path d="M262 292q40-4 62-64l22 10q-20 90-84 104z" fill="{t.dark}"/>'
        f'<path d="M128 222h144l22 152q2 26-24 26H130q-26 0-24-26z" fill="{t.base}"/>'
        f'<path d="M240 222h32l22 152q2 26-24 26h-34q22-50 4-178z" fill="{t.dark}" '
        'opacity=".35"/>'
        f'<path d="M140 222q60-36 120 0z" fill="{t.light}"/>'
        f'<circle cx="200" cy="200" r="11" fill="{INK}"/>'
        f'<path d="M104 386h192v14H104z" fill="{STEEL}"/>'
    )


def board(t: Tones, r: Random) -> str:
    grain = "".join(f"M{150 + i * 22} 190q{r.randint(-10, 10)} 90 0 196" for i in range(5))
    return (
        '<path d="M128 196q0-20 20-20h28V128q0-24 24-24t24 24v48h28q20 0 20 20v184q0 20-20 '
        f'20H148q-20 0-20-20z" fill="{WOOD}"/>'
        f'<path d="{grain}" stroke="{WOOD_DARK}" stroke-width="3" fill="none" opacity=".5"/>'
        f'<circle cx="200" cy="134" r="10" fill="{WOOD_DARK}"/>'
        f'<path d="M128 330h144v50q0 20-20 20H148q-20 0-20-20z" fill="{t.base}"/>'
    )


def lamp(t: Tones, r: Random) -> str:
    if r.random() < 0.5:
        return (
            f'<path d="M150 388h112q10 0 10 12H140q0-12 10-12z" fill="{INK}"/>'
            f'<path d="M204 392L152 262L252 168" fill="none" stroke="{INK}" stroke-width="10" '
            'stroke-linejoin="round"/>'
            f'<circle cx="152" cy="262" r="11" fill="{WOOD}"/>'
            f'<path d="M222 152l54-38q56 30 48 96z" fill="{t.base}"/>'
            f'<path d="M276 114q56 30 48 96l-42-24q16-40-6-72z" fill="{t.dark}" opacity=".5"/>'
            f'<path d="M226 156l94 52q-30 30-62 6t-32-58z" fill="#ffe9ac"/>'
        )
    return (
        f'<path d="M152 130h96l44 124H108z" fill="{t.base}"/>'
        f'<path d="M216 130h32l44 124h-60z" fill="{t.dark}" opacity=".35"/>'
        '<path d="M114 254h172l6 0q-40 16-92 16t-92-16z" fill="#ffe9ac"/>'
        f'<path d="M192 262h16v120h-16z" fill="{WOOD_DARK}"/>'
        f'<path d="M142 400q4-28 58-28t58 28z" fill="{WOOD}"/>'
    )


def plant(t: Tones, r: Random) -> str:
    leaves = []
    for i in range(7):
        turn, size = -66 + i * 22 + r.randint(-6, 6), r.uniform(0.8, 1.12)
        leaves.append(
            f'<path transform="translate(200 282) rotate({turn}) scale({size:.2f})" d="M0 '
            '0C-34-56-26-116 0-160C26-116 34-56 0 0z" '
            f'fill="{(LEAF, "#3a6447", "#6d9a6b")[i % 3]}"/>'
            f'<path transform="translate(200 282) rotate({turn}) scale({size:.2f})" '
            f'd="M0 0V-138" stroke="#dfe8cf" stroke-opacity=".5" stroke-width="2"/>'
        )
    return (
        "".join(leaves)
        + f'<path d="M136 278h128l-14 108q-2 14-16 14h-68q-14 0-16-14z" fill="{t.base}"/>'
        f'<path d="M222 278h42l-14 108q-2 14-16 14h-24q16-50 12-122z" fill="{t.dark}" '
        'opacity=".35"/>'
        f'<path d="M128 264h144v28H128z" fill="{t.dark}"/>'
    )


def cactus(t: Tones, r: Random) -> str:
    spines = "".join(f"M{178 + (i % 3) * 22} {180 + i * 12}l0 7" for i in range(9))
    return (
        f'<path d="M162 300V190q0-40 38-40t38 40V300z" fill="{LEAF}"/>'
        '<path d="M162 262h-20q-22 0-22-22v-22q0-12 12-12t12 12v16h18M238 240h18v-30q0-12 '
        '12-12t12 12v34q0 20-22 20h-20z" fill="#3a6447"/>'
        f'<path d="{spines}" stroke="#e7edd5" stroke-width="3"/>'
        f'<circle cx="200" cy="150" r="{r.choice((10, 14))}" fill="#e07a5f"/>'
        f'<path d="M140 290h120l-12 96q-2 14-16 14h-64q-14 0-16-14z" fill="{t.base}"/>'
        f'<path d="M132 282h136v22H132z" fill="{t.dark}"/>'
    )


def vase(t: Tones, r: Random) -> str:
    twigs = "".join(
        f'<path d="M200 240Q{200 + dx // 3} 170 {200 + dx} {y}" stroke="{WOOD_DARK}" '
        'stroke-width="4" fill="none"/>'
        + "".join(
            f'<circle cx="{200 + dx * k // 4 + r.randint(-8, 8)}" '
            f'cy="{240 - (240 - y) * k // 4}" r="9" fill="{("#f3d5cf", "#e59c8f")[k % 2]}"/>'
            for k in (2, 3, 4)
        )
        for dx, y in ((-66, 92), (10, 70), (74, 104))
    )
    return (
        f'{twigs}<path d="M178 226h44q-2 30 22 56q26 34 2 84q-10 34-24 34h-44q-14 '
        f'0-24-34q-24-50 2-84q24-26 22-56z" fill="{t.base}"/>'
        '<path d="M206 226h16q-2 30 22 56q26 34 2 84q-10 34-24 34h-16q36-60 '
        f'10-110q-12-28-10-64z" fill="{t.dark}" opacity=".35"/>'
        f'<ellipse cx="200" cy="226" rx="24" ry="6" fill="{t.dark}"/>'
    )


def candle(t: Tones, r: Random) -> str:
    return (
        '<path d="M196 168q-18-30 4-62q22 30 4 62z" fill="#f3b23f"/>'
        '<path d="M198 166q-8-14 2-30q10 16 2 30z" fill="#fff1c4"/>'
        f'<path d="M199 164h3v26h-3z" fill="{INK}"/>'
        f'<path d="M130 190h140v196q0 14-14 14H144q-14 0-14-14z" fill="{t.base}"/>'
        f'<path d="M228 190h42v196q0 14-14 14h-28z" fill="{t.dark}" opacity=".35"/>'
        f'<ellipse cx="200" cy="190" rx="70" ry="13" fill="{CREAM}"/>'
        f'<path d="M156 262h88v{r.choice((64, 84))}h-88z" fill="{CREAM}"/>'
        f'<path d="M172 284h56M180 300h40" stroke="{INK}" stroke-width="4"/>'
    )


def watering_can(t: Tones, r: Random) -> str:
    return (
        f'<path d="M152 250C100 150 270 130 250 250" fill="none" stroke="{t.dark}" '
        f'stroke-width="13"/><path d="M130 330L70 236" stroke="{t.dark}" stroke-width="18"/>'
        f'<path d="M46 244l42-26l10 16l-42 26z" fill="{t.dark}"/>'
        f'<path d="M128 246h160l10 138q0 16-16 16H134q-16 0-16-16z" fill="{t.base}"/>'
        f'<path d="M246 246h42l10 138q0 16-16 16h-40q16-60 4-154z" fill="{t.dark}" '
        f'opacity=".35"/><path d="M124 {r.choice((280, 300))}h168" stroke="{t.light}" '
        'stroke-width="6"/>'
    )


HOME = {
    "mug": mug,
    "teapot": teapot,
    "gaiwan": gaiwan,
    "tin": tin,
    "kettle": kettle,
    "board": board,
    "lamp": lamp,
    "plant": plant,
    "cactus": cactus,
    "vase": vase,
    "candle": candle,
    "watering_can": watering_can,
}
