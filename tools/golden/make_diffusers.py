#!/usr/bin/env python3
"""Models of diffusers for the tests of import and export, and the check of exported folders by hand.

    make_diffusers.py DEST             writes tests/golden/diffusers: a small model and the names of the CIFAR-10 network
    make_diffusers.py --cifar10 DEST   writes a model of google/ddpm-cifar10-32's shape with random weights (143 MB)
    make_diffusers.py --open FOLDER    opens an exported FOLDER as UNet2DModel and as DDPMPipeline

Each mode leaves outputs.npz in the folder: inputs x_t and t, the network's output in float64, and where a short DDIM
chain leads from x_t. `DDPM_EVAL_DIFFUSERS_FOLDER=FOLDER test_eval --gtest_filter=ForeignModel.GivesDiffusersOutput*`
compares them with this program's, so that --cifar10 proves the import and --open the export. Attention's softmax and
the time embedding are float32 in diffusers whatever the model's type.

Made with Python 3.11, PyTorch 1.13.0a0 (Debian's python3-torch 1.13.1), NumPy 1.24.2, diffusers 0.27.2:
    python3 -m venv --system-site-packages VENV
    VENV/bin/pip install --no-deps diffusers==0.27.2 huggingface_hub==0.23.5 safetensors==0.4.3 packaging==23.2 \
        filelock==3.13.4 pyyaml==6.0.1 requests==2.31.0 urllib3==2.2.1 idna==3.7 certifi==2024.2.2 \
        charset-normalizer==3.3.2 tqdm==4.66.2 typing_extensions==4.11.0 importlib_metadata==7.1.0 zipp==3.18.1 \
        fsspec==2024.3.1 regex==2024.4.16 Pillow==10.3.0
    VENV/bin/python tools/golden/make_diffusers.py tests/golden/diffusers
"""
import pathlib
import shutil
import sys

import numpy as np
import safetensors.torch  # diffusers takes it for loaded
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel

OFFICIAL = dict(downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6, attention_head_dim=None)
CIFAR10 = dict(OFFICIAL, sample_size=32, block_out_channels=(128, 256, 256, 256),
               down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
               up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"))
SMALL = dict(OFFICIAL, sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
             down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"))
STEPS = 4
OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def random_model(config):
    """Every tensor drawn, the norms' and biases among them, so that each one matters."""
    model = UNet2DModel(**config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
            else:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def save(config, folder):
    scheduler = DDPMScheduler(variance_type="fixed_large")
    DDPMPipeline(random_model(config), scheduler).save_pretrained(folder)
    # As google/ddpm-cifar10-32 has them: at the root.
    for source in ("unet/config.json", "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"):
        shutil.move(folder / source, folder / pathlib.Path(source).name)
    (folder / "unet").rmdir()
    (folder / "scheduler").rmdir()


@torch.no_grad()
def write_outputs(folder):
    model = UNet2DModel.from_pretrained(folder)
    pipeline = DDPMPipeline.from_pretrained(folder)
    for name, tensor in pipeline.unet.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    model.double().eval()
    side, channels = model.config.sample_size, model.config.in_channels
    x_t = torch.randn((2, channels, side, side), generator=torch.Generator().manual_seed(1))
    t = torch.tensor([7, 911])
    output = model(x_t.double(), t).sample
    ddim = DDIMScheduler.from_config(pipeline.scheduler.config, timestep_spacing="leading")
    ddim.set_timesteps(STEPS)
    x = x_t.double()
    for step in ddim.timesteps:
        x = ddim.step(model(x, step).sample[:, :channels], step, x, eta=0.0).prev_sample
    np.savez(folder / "outputs.npz", x_t=x_t.numpy(), t=t.numpy(), output=output.numpy(), ddim=x.numpy())
    print(f"{folder}: {sum(p.numel() for p in model.parameters())} parameters in {len(model.state_dict())} tensors, "
          f"output of norm {output.norm():.6f}, scheduler {type(pipeline.scheduler).__name__}")


def write_old(folder):
    """The same weights as older versions wrote them: a .bin, other names, attention as 1x1 convolutions."""
    state = UNet2DModel.from_pretrained(folder).state_dict()
    old = {}
    for name, tensor in state.items():
        for new, former in OLD_ATTENTION.items():
            name = name.replace(f".{new}.", f".{former}.")
        is_attention = any(f".{former}.weight" in name for former in OLD_ATTENTION.values())
        old[name] = tensor[:, :, None, None].clone() if is_attention else tensor
    torch.save(old, folder / "old_spelling.bin")


def write_names(path):
    with open(path, "w") as file:
        for name, tensor in UNet2DModel(**CIFAR10).state_dict().items():
            file.write(" ".join([name, *map(str, tensor.shape)]) + "\n")


def main():
    if sys.argv[1] == "--open":
        return write_outputs(pathlib.Path(sys.argv[2]))
    folder = pathlib.Path(sys.argv[-1])
    folder.mkdir(parents=True, exist_ok=True)
    if sys.argv[1] == "--cifar10":
        save(CIFAR10, folder)
        return write_outputs(folder)
    save(SMALL, folder)
    write_outputs(folder)
    write_old(folder)
    write_names(folder / "cifar10_names.txt")


if __name__ == "__main__":
    main()
