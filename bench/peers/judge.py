"""Races out of the turns of a heat: ratios pair by pair, whether the values agree, whether the goal is met."""

import statistics

# Relative: values of the same precision, or the race does not count. With fewer images than features the covariances are
# singular, and the peers' general matrix root is off by some 1e-5 of the traces, of which the distance is a small
# difference: then it is the sum of its terms that a difference is relative to.
AGREE = 1e-4


def amounts(side, unit):
    return [turn["seconds" if unit == "s" else "items_per_second"] for turn in side["turns"]]


def peak(side):
    peaks = [turn["peak_mb"] for turn in side["turns"] if "peak_mb" in turn]
    return max(peaks) if peaks else None


def values(side):
    found = [turn["value"] for turn in side["turns"] if "value" in turn]
    return found or None


def apart(ours, theirs):
    """The largest relative difference of a value of ours from one of theirs."""
    return max(abs(a - b) / max(abs(b), 1e-12) for a in ours for b in theirs)


def apart_of_terms(ours, theirs):
    """The same, relative to the terms that ours is put together from."""
    return max(abs(turn["value"] - other) / turn["terms"] for turn in ours["turns"] for other in values(theirs))


def medians_of_parts(side):
    names = dict.fromkeys(name for turn in side["turns"] for name in turn.get("parts", {}))
    return {name: statistics.median(turn["parts"][name] for turn in side["turns"]) for name in names}


def settings(side):
    """Batch sizes and loader processes, where they were told."""
    return next((turn["settings"] for turn in side["turns"] if "settings" in turn), {})


def met(race, goal):
    """"aim", "required" or "no"; None where nothing is asked."""
    if not goal:
        return None
    if "ratio" in goal:
        if "aim" in goal and race["ratio"] >= goal["aim"]:
            return "aim"
        return "required" if race["ratio"] >= goal["ratio"] else "no"
    small = race["peak_mb"]["ours"] <= goal["peak_mb"]
    return "required" if small and statistics.median(race["ours"]) <= goal["seconds"] else "no"


def judged(heat, pair):
    ours, theirs = heat["competitors"][pair["ours"]], heat["competitors"][pair["theirs"]]
    race = {"heat": heat["heat"], "work": pair["work"] or heat["work"], "peer": theirs["tool"], "unit": heat["unit"],
            "conditions": {"ours": ours["conditions"], "theirs": theirs["conditions"]}}
    failures = [f"{side['tool']}: {side['failed']}" for side in (ours, theirs) if "failed" in side]
    if failures:
        return dict(race, not_counted="; ".join(failures))
    a, b = amounts(ours, heat["unit"]), amounts(theirs, heat["unit"])
    faster = (lambda x, y: y / x) if heat["unit"] == "s" else (lambda x, y: x / y)
    pairs = [faster(x, y) for x, y in zip(a, b)]
    race.update({"ours": a, "theirs": b, "ratio": faster(statistics.median(a), statistics.median(b)),
                 "least": min(pairs), "most": max(pairs), "goal": pair["goal"],
                 "peak_mb": {"ours": peak(ours), "theirs": peak(theirs)},
                 "parts": {"ours": medians_of_parts(ours), "theirs": medians_of_parts(theirs)},
                 "settings": {"ours": settings(ours), "theirs": settings(theirs)}})
    if values(ours) and values(theirs):
        race["values"] = {"ours": statistics.median(values(ours)), "theirs": statistics.median(values(theirs)),
                          "apart": apart(values(ours), values(theirs))}
        same = ours["conditions"]["precision"] == theirs["conditions"]["precision"]
        if heat.get("singular"):
            race["values"]["apart_of_terms"] = apart_of_terms(ours, theirs)
        if same and not race["values"].get("apart_of_terms", race["values"]["apart"]) <= AGREE:
            return dict(race, not_counted=f"the values are {race['values']['apart']:.1e} apart")
    return dict(race, met=met(race, pair["goal"]))


def change_by_precision(heat):
    """What bf16 does to the value, where ours has run in both."""
    both = [heat["competitors"].get(f"ours-{precision}", {"turns": []}) for precision in ("float32", "bf16")]
    if any("failed" in side or not values(side) for side in both):
        return None
    exact, rounded = (statistics.median(values(side)) for side in both)
    return {"float32": exact, "bf16": rounded, "relative": (rounded - exact) / exact}


def agrees_in_one_precision(race, races):
    """A rounded value may differ, but only from a peer that the exact one agrees with."""
    return any(one["peer"] == race["peer"] and "values" in one and "not_counted" not in one
               and one["conditions"]["ours"]["precision"] == one["conditions"]["theirs"]["precision"] for one in races)


def races_of(heat):
    races = [judged(heat, pair) for pair in heat["pairs"]]
    races += [{"heat": heat["heat"], "work": heat["work"], "peer": peer, "unit": heat["unit"], "not_counted": why}
              for peer, why in heat["not_raced"]]
    change = change_by_precision(heat)
    for race in races:
        if "values" in race and "not_counted" not in race and not agrees_in_one_precision(race, races):
            race["not_counted"] = "no pair of one precision shows that both sides do the same"
        if change and race.get("conditions", {}).get("ours", {}).get("precision") == "bf16":
            race["change_by_bf16"] = change
    return races
