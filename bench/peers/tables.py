"""A record of races as Markdown."""

import statistics

HEAD = ["work", "peer", "precision", "threads", "ddpm-eval", "peer's", "times as fast (least to most)",
        "required (aim)", "met", "peak MB, both", "values apart"]
LEFT = 3  # columns
DASH = "–"
TOLD = ("precision", "threads")  # conditions with a column of their own


def number(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def amount(values, unit):
    return f"{number(statistics.median(values))} {unit}"


def both(race, key):
    sides = [race.get("conditions", {}).get(side, {}).get(key) for side in ("ours", "theirs")]
    if sides[0] == sides[1]:
        return DASH if sides[0] is None else str(sides[0])
    return f"{sides[0]} / {sides[1]}"


def other_differences(race):
    """Whatever else is not the same on both sides: nothing is compared without saying so."""
    ours, theirs = (race["conditions"][side] for side in ("ours", "theirs"))
    keys = [key for key in dict.fromkeys([*ours, *theirs]) if key not in TOLD and ours.get(key) != theirs.get(key)]
    return [f"{key}: {ours.get(key)} / {theirs.get(key)}" for key in keys]


def goal(race):
    wanted = race.get("goal") or {}
    if "ratio" in wanted:
        return f"{wanted['ratio']:g}" + (f" ({wanted['aim']:g})" if "aim" in wanted else "")
    if wanted:
        return f"{wanted['seconds']:g} s, {wanted['peak_mb']:g} MB"
    return DASH


def peaks(race):
    sides = [race.get("peak_mb", {}).get(side) for side in ("ours", "theirs")]
    return DASH if None in sides else f"{sides[0]:,.0f} / {sides[1]:,.0f}"


def row(race):
    met = {"aim": "yes, the aim", "required": "yes", "no": "**no**", None: DASH}[race.get("met")]
    apart = f"{race['values']['apart']:.0e}" if "values" in race else DASH
    return [race["work"], race["peer"], both(race, "precision"), both(race, "threads"),
            amount(race["ours"], race["unit"]), amount(race["theirs"], race["unit"]),
            f"{race['ratio']:.2f} ({race['least']:.2f} to {race['most']:.2f})", goal(race), met, peaks(race), apart]


def parts_text(parts):
    return ", ".join(f"{name} {number(seconds)} s" for name, seconds in parts.items())


def notes(races):
    lines = []
    for race in races:
        name = f"{race['work']} against {race['peer']}"
        if "not_counted" in race:
            precision = race.get("conditions", {}).get("ours", {}).get("precision")
            lines.append(f"Not counted: {name}{', ' + precision if precision else ''}: {race['not_counted']}.")
            continue
        parts = race.get("parts", {"ours": {}, "theirs": {}})
        if parts["theirs"] and parts["ours"]:
            lines.append(f"{name}, {both(race, 'precision')}, medians: ddpm-eval {parts_text(parts['ours'])}; "
                         f"{race['peer']} {parts_text(parts['theirs'])}.")
        if other_differences(race):
            lines.append(f"{name} differs in {'; '.join(other_differences(race))}.")
    changes = {(race["heat"], race["change_by_bf16"]["relative"]): race for race in races if "change_by_bf16" in race}
    for race in changes.values():
        change = race["change_by_bf16"]
        lines.append(f"{race['work']} ({race['heat']}) by ddpm-eval in bf16: {change['bf16']:.6g} where float32 gives "
                     f"{change['float32']:.6g}, {100 * change['relative']:+.3f} %.")
    return list(dict.fromkeys(lines))


def rounds_text(record):
    """Start-ups take more rounds than the rest."""
    of = {}
    for heat in record["heats"]:
        of.setdefault(heat["rounds"], []).append(heat["heat"])
    if len(of) < 2:
        return f"rounds in turn: {next(iter(of), record['rounds'])}"
    return "rounds in turn: " + "; ".join(f"{rounds} ({', '.join(names)})" for rounds, names in of.items())


def headline(record):
    where = record["processor"]
    told = [f"Commit {record['commit']}", record["date"],
            f"{where['processors']} x {where['name']} (model {where['model']})",
            f"PyTorch {record['pytorch']}", rounds_text(record)]
    return ", ".join(told) + "."


def rows_of_table(cells):
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * LEFT + "--:|" * (len(HEAD) - LEFT)]
    return lines + ["| " + " | ".join(line) + " |" for line in cells]


def markdown(record):
    counted = [race for race in record["races"] if "not_counted" not in race]
    lines = [headline(record), "", *rows_of_table([row(race) for race in counted])]
    said = notes(record["races"])
    if said:
        lines += ["", *(f"- {line}" for line in said)]
    return "\n".join(lines) + "\n"
