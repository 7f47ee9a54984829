"""One FID by pytorch-fid, torch-fidelity or clean-fid, as a user has it; prints one JSON line.

    build/peers/bin/python bench/peers/peer_fid.py TOOL REAL FAKE --weights FILE

REAL and FAKE are folders of images or, for pytorch-fid and torch-fidelity, statistics .npz. The tools are not changed:
batch sizes and loader processes are their defaults, and only the download of the weights is replaced by FILE.
"""

import time

BEGIN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

PARTS = {}


def timed(module, name, part):
    """Has the seconds of every call of module.name added to `part`."""
    function = getattr(module, name)

    def wrapper(*args, **kwargs):
        begin = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            PARTS[part] = PARTS.get(part, 0.0) + time.perf_counter() - begin

    setattr(module, name, wrapper)


def weights_for(module, path):
    """In place of the download, by the name that pytorch-fid and its descendant clean-fid know it by."""
    module.load_state_dict_from_url = lambda *args, **kwargs: torch.load(path)


def pytorch_fid(options):
    import pytorch_fid.fid_score as tool
    import pytorch_fid.inception

    weights_for(pytorch_fid.inception, options.weights)
    folders = not options.real.endswith(".npz")
    timed(tool, "compute_statistics_of_path", "features and moments" if folders else "reading")
    timed(tool, "calculate_frechet_distance", "distance")
    PARTS["imports"] = time.perf_counter() - BEGIN
    workers = min(len(os.sched_getaffinity(0)), 8)  # as its main()
    batch = tool.parser.get_default("batch_size")
    fid = tool.calculate_fid_given_paths([options.real, options.fake], batch, torch.device("cpu"), 2048, workers)
    return fid, {"batch": batch, "loaders": workers} if folders else {}


def torch_fidelity(options):
    from torch_fidelity import calculate_metrics, metric_fid, utils
    from torch_fidelity.defaults import DEFAULTS

    PARTS["imports"] = time.perf_counter() - BEGIN
    timed(metric_fid, "fid_statistics_to_metric", "distance")
    if options.real.endswith(".npz"):  # which its own program does not take
        fake, real = ({key: file[key] for key in ("mu", "sigma")}
                      for file in map(np.load, (options.fake, options.real)))
        return metric_fid.fid_statistics_to_metric(fake, real, False)[metric_fid.KEY_METRIC_FID], {}
    timed(metric_fid, "fid_input_id_to_statistics_cached", "features and moments")
    metrics = calculate_metrics(input1=options.fake, input2=options.real, fid=True, cuda=False, verbose=False,
                                feature_extractor_weights_path=options.weights)
    loaders = min(4, 2 * utils.multiprocessing.cpu_count())
    return metrics[metric_fid.KEY_METRIC_FID], {"batch": DEFAULTS["batch_size"], "loaders": loaders}


def clean_fid(options):
    import inspect

    import cleanfid.fid as tool
    import cleanfid.inception_pytorch

    weights_for(cleanfid.inception_pytorch, options.weights)
    timed(tool, "get_folder_features", "features and moments")
    timed(tool, "frechet_distance", "distance")
    PARTS["imports"] = time.perf_counter() - BEGIN
    fid = tool.compute_fid(options.real, options.fake, mode="legacy_pytorch", device=torch.device("cpu"), verbose=False)
    defaults = inspect.signature(tool.compute_fid).parameters
    return fid, {"batch": defaults["batch_size"].default, "loaders": defaults["num_workers"].default}


TOOLS = {"pytorch-fid": pytorch_fid, "torch-fidelity": torch_fidelity, "clean-fid": clean_fid}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("real")
    parser.add_argument("fake")
    parser.add_argument("--weights", required=True)
    options = parser.parse_args()
    fid, settings = TOOLS[options.tool](options)
    print(json.dumps({"value": float(fid), "parts": PARTS, "settings": settings, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
