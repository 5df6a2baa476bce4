"""The bundled model as a pipeline of diffusers, for code that expects one.

    pipe = as_pipeline(TextToImage.bundled())
    pipe("a fox on a blue background", num_inference_steps=20).images[0].save("fox.png")

The sampler is diffusers' own scheduler for rectified flows; another one may take its place.
"""

from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from PIL import Image
from torch import Tensor

from tasks.text_to_image.concepts import STYLES
from tasks.text_to_image.generator import SIDE, TextToImage


class CaptionPipeline(DiffusionPipeline):
    """Args:
    unet, vae, scheduler: networks.WordUNet, networks.LatentAutoencoder, a flow-matching scheduler.
    model: reads captions and holds the dictionary.
    """

    unet: Any
    scheduler: Any

    def __init__(self, unet: Any, vae: Any, scheduler: Any, model: TextToImage):
        super().__init__()
        pipeline: Any = self  # diffusers tells type checkers little
        pipeline.register_modules(unet=unet, vae=vae, scheduler=scheduler)
        self.model = model

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str | list[str],
        num_inference_steps: int = 20,
        guidance_scale: float | None = None,
        negative_prompt: str = "",
        generator: torch.Generator | None = None,
        latents: Tensor | None = None,
        style: str = STYLES[0],
        output_type: str = "pil",
    ) -> ImagePipelineOutput:
        """As pipelines of diffusers: images as a list of PIL's, or "np", float32 in [0, 1].

        Args:
            latents: (n, 4, 16, 16) to start from; None: drawn by `generator`.
        """
        model, prompts = self.model, [prompt] if isinstance(prompt, str) else list(prompt)
        n, guidance = len(prompts), model.guidance if guidance_scale is None else guidance_scale
        condition = model.conditioning([model.read(text, style) for text in prompts])
        against = model.conditioning([model.read(negative_prompt, style)] * n)
        shape = (n, self.unet.folded // 4, SIDE // 4, SIDE // 4)
        x = torch.randn(shape, generator=generator) if latents is None else latents
        x, by = (
            x.to(condition.states.device),
            torch.tensor(guidance, device=condition.states.device),
        )
        self.scheduler.set_timesteps(
            sigmas=[1 - i / num_inference_steps for i in range(num_inference_steps)]
        )
        for t in self.scheduler.timesteps:
            t_share = float(t) / self.scheduler.config.num_train_timesteps
            v, _ = model.velocity(x, t_share, condition, against, by)
            x = self.scheduler.step(v, t, x).prev_sample
        images = model.decode(x)
        if output_type == "np":
            return ImagePipelineOutput(images=images.astype(np.float32) / 255)
        return ImagePipelineOutput(images=[Image.fromarray(image) for image in images])


def as_pipeline(model: TextToImage) -> CaptionPipeline:
    """The model with diffusers' Euler scheduler for rectified flows."""
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000)
    return CaptionPipeline(model.unet, model.reader.autoencoder, scheduler, model)
