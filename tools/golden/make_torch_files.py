#!/usr/bin/env python3
"""Writes tests/golden/torch/*.pth with the real torch.save, for tests/data/torch_file_test.cpp.

Usage: make_torch_files.py DEST          (made with Debian 12's python3-torch, 1.13.1)

The values are closed forms that the test writes out again. Some are hostile on purpose.
"""
import collections
import pathlib
import sys
import zipfile

import torch


class Exploit:
    """Unpickling this with Python's pickle would run a command."""

    def __reduce__(self):
        import os

        return (os.system, ("touch /tmp/ddpm-eval-was-here",))


def state_dict() -> collections.OrderedDict:
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    state = collections.OrderedDict()
    state["linear.weight"] = torch.arange(6, dtype=torch.float32).reshape(2, 3) * 0.5 - 1
    state["linear.bias"] = torch.nn.Parameter(torch.tensor([0.25, -0.5, 3.0]))
    state["view.transposed"] = base.t()
    state["view.slice"] = base[1:, ::2]
    state["view.row"] = base[0].expand(1, 4)
    state["float64"] = torch.tensor([1e-300, -1 / 3], dtype=torch.float64)
    state["float16"] = torch.tensor([0.5, -65504.0, 6e-8], dtype=torch.float16)
    state["bfloat16"] = torch.tensor([1.0, -3.140625, 1e38], dtype=torch.bfloat16)
    state["bn.num_batches_tracked"] = torch.tensor(123456789012, dtype=torch.int64)
    state["int32"] = torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32)
    state["int16"] = torch.tensor([-32768, 7], dtype=torch.int16)
    state["int8"] = torch.tensor([-128, 127], dtype=torch.int8)
    state["uint8"] = torch.arange(250, 256, dtype=torch.uint8).reshape(2, 3)
    state["bool"] = torch.tensor([True, False, True])
    state["empty"] = torch.zeros(0, 3)
    state._metadata = collections.OrderedDict([("", {"version": 1}), ("bn", {"version": 2})])
    return state


def repack(source: pathlib.Path, target: pathlib.Path, extra: dict) -> None:
    """The same archive with more entries under its top folder, as later versions of PyTorch write them."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name))
        for name, content in extra.items():
            new.writestr(zipfile.ZipInfo(f"{source.stem}/{name}"), content)


def main() -> None:
    dest = pathlib.Path(sys.argv[1])
    dest.mkdir(parents=True, exist_ok=True)

    def save(name: str, value, **options) -> None:
        torch.save(value, dest / name, **options)

    old = {"_use_new_zipfile_serialization": False}
    state = state_dict()
    save("state_legacy.pth", state, **old)
    save("state_zip.pth", state)
    save("state_legacy_protocol4.pth", state, pickle_protocol=4, **old)
    save("state_zip_protocol4.pth", state, pickle_protocol=4)

    # What torch 2.x adds to the archive.
    zipped = dest / "state_zip.pth"
    later = {".format_version": "1", ".storage_alignment": "64", ".data/serialization_id": "0" * 40}
    repack(zipped, dest / "state_zip_torch2.pth", {"byteorder": "little", **later})
    repack(zipped, dest / "big_endian.pth", {"byteorder": "big"})

    weight = torch.tensor([1.0, 2.0])
    save("nested_state_dict.pth", {"epoch": 3, "lr": 1e-3, "state_dict": {"w": weight}, "optimizer": {"m": [weight]}})
    save("nested_model.pth", {"model": {"w": weight}}, **old)
    save("not_tensors.pth", {"w": weight, "note": "hello"})
    save("list.pth", [weight, weight])

    save("exploit_legacy.pth", {"w": weight, "x": Exploit()}, **old)
    save("exploit_zip.pth", {"w": weight, "x": Exploit()})
    save("whole_module.pth", torch.nn.Linear(1, 1), **old)
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(dest / "torchscript.pt"))


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
