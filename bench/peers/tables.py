"""A record of races as Markdown."""

import statistics

import judge

HEAD = ["work", "peer", "precision", "threads", "ddpm-eval", "peer's", "times as fast (least to most)",
        "required (aim)", "met", "peak MB, both", "values apart"]
LEFT = 3  # columns
DASH = "–"
IDLE = 0.2  # processors that others keep busy; above it is told
TOLD = ("precision", "threads")  # conditions with a column of their own
PARTS = ("imports", "reading", "features and moments", "distance")


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


def spent(race, side):
    """What a side's seconds went into, by its own account."""
    parts = race["parts"][side]
    told = [f"{number(parts[name])} s {name}" for name in PARTS if name in parts]
    settings = [f"{key} {value}" for key, value in race.get("settings", {}).get(side, {}).items()]
    name = "ddpm-eval" if side == "ours" else race["peer"]
    return f"{name}{' (' + ', '.join(settings) + ')' if settings else ''} {', '.join(told)}" if told else ""


def precision_of_ours(race):
    return race.get("conditions", {}).get("ours", {}).get("precision")


def grouped(items):
    """{key: [values]} in the order of first sight, each value once."""
    groups = {}
    for key, value in items:
        if value not in groups.setdefault(key, []):
            groups[key].append(value)
    return groups


def notes(races):
    counted = [race for race in races if "not_counted" not in race]
    lines = []
    spending = grouped(((race["work"], precision_of_ours(race)), spent(race, side))
                       for race in counted if race["parts"]["theirs"] for side in ("ours", "theirs"))
    for (work, precision), told in spending.items():
        lines.append(f"{work}, {precision}, medians: {'; '.join(filter(None, told))}.")
    for race in counted:
        if other_differences(race):
            lines.append(f"{race['work']} against {race['peer']} differs in {'; '.join(other_differences(race))}.")
    for weights in grouped((race["conditions"]["ours"].get("weights"), race["heat"]) for race in counted):
        if weights:
            lines.append("The network of the FIDs has synthetic weights, the same on both sides (SHA-256 "
                         f"{weights[:12]}).")
    for race in counted:
        values = race.get("values", {})
        if values.get("apart_of_terms") and precision_of_ours(race) == "float32" and values["apart"] > judge.AGREE:
            lines.append(f"{race['work']}: {values['theirs']:.8g} by {race['peer']}, {values['ours']:.8g} by ddpm-eval, "
                         f"{values['apart_of_terms']:.0e} of the traces apart: covariances of fewer images than features "
                         "are singular, and a general matrix root loses those digits.")
    for race in counted:
        if "change_by_bf16" in race:
            change = race["change_by_bf16"]
            lines.append(f"{race['work']}, bf16: {change['bf16']:.6g} where ddpm-eval's float32 gives "
                         f"{change['float32']:.6g}, {100 * change['relative']:+.3f} %.")
    lost = grouped(((race["work"], precision_of_ours(race), race["not_counted"]), race["peer"])
                   for race in races if "not_counted" in race)
    for (work, precision, why), peers in lost.items():
        name = f"{work}, {precision}" if precision else work
        lines.append(f"Not counted: {name}, against {' and '.join(peers)}: {why}.")
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
    busy = max((heat["busy_before"] for heat in record["heats"]), default=0)
    if busy > IDLE:
        said.append(f"Other programs were at work ({busy} processors): these times mean little.")
    if said:
        lines += ["", *(f"- {line}" for line in said)]
    return "\n".join(lines) + "\n"
