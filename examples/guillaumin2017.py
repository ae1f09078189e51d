# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From what a network sees to a network that paints
#
# After Julien Guillaumin, *Style transfer by deep learning*, workshop slides, 2017. Three steps: what a
# network trained on photographs knows of content and of style; an optimisation that joins the content of one
# picture with the style of another; and networks that learn to do in one pass what the optimisation does in
# hundreds of steps.
#
# Nothing is downloaded here. The slides' network is VGG-16; `vgg19-slim`, a narrow VGG-19 that ships with
# the package, stands for it. Sizes and steps are smaller than the slides'.

# %%
import json
import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt

import velatura
from velatura.imaging import labelled_sheet
from velatura.imaging.samples import draw_sample

REDUCED = "VELATURA_REDUCED" in os.environ  # for the checks: smaller and shorter
SIZE = 64 if REDUCED else 128
STEPS = 3 if REDUCED else 200

photo = draw_sample("still-life", size=SIZE)
painting = draw_sample("flowing-strokes", size=SIZE)
labelled_sheet({("", "content"): photo, ("", "style"): painting}, rows=[""], columns=["content", "style"])

# %% [markdown]
# ## Content and style of a layer
#
# $\phi_j(x)$ are the activations of layer $j$: $C_j$ maps of $H_j \times W_j$. A content reconstruction is
# the picture whose activations are those of the photograph, found from a random one; a style reconstruction
# the picture whose Gram matrix is the painting's. The Gram matrix holds which maps are active together, and
# not where:
#
# $$L_c = \frac{1}{C_j H_j W_j} \lVert \phi_j(x_c) - \phi_j(x) \rVert_2^2, \qquad
# G_j(x)_{c_1 c_2} = \mathbb{E}\bigl[\phi_j(x)_{c_1} \, \phi_j(x)_{c_2}\bigr], \qquad
# L_s = \frac{1}{C_j^2} \lVert G_j(x_s) - G_j(x) \rVert_2^2$$
#
# The preset `guillaumin2017-reconstruction` has the slides' settings: 1,000 steps of Adam, with a step size
# of 2.0 of the pixel range 0 to 255, which is 2/255 of ours. From one layer downwards to the next:

# %%
LAYERS = ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_1"]
pictures, captions = {}, {}
for kind, picture in (("content", photo), ("style", painting)):
    for layer in LAYERS:
        result = velatura.reconstruct(
            kind,
            picture,
            layer=layer,
            preset="guillaumin2017-reconstruction",
            backbone="vgg19-slim",
            size=SIZE,
            settings={"pyramid.steps": [STEPS]},
        )
        pictures[layer, kind] = result.picture
        first, last = (result.history[place]["loss"] for place in (0, -1))
        captions[layer, kind] = f"{last / first:.2%}"
labelled_sheet(pictures, rows=LAYERS, columns=["content", "style"], captions=captions)

# %% [markdown]
# Left, from the pixels to their arrangement: low layers give the photograph back under a fine grain that
# they do not see, high ones keep its objects and lose its colours. Right, "small and simple patterns" from
# low layers, "more complex patterns" from high ones: dots of colour, then strokes, then swirls. Content and
# style can be separated, since neither column needs what the other shows.
#
# ## DeepDream
#
# The slides name it among the ways to see what a network sees. No target: the picture is changed so that a
# layer answers *more* than it does,
#
# $$x \leftarrow x + \eta \, g \,/\, \overline{\lvert g \rvert}, \qquad
# g = \nabla_x \tfrac12 \lVert \phi_j(x) \rVert^2,$$
#
# from small octaves to large ones.

# %%
dreams = {"": photo}
for layer in ("relu2_2", "relu3_3", "relu4_3"):
    dreams[layer] = velatura.reconstruct(
        "deepdream",
        photo,
        layer=layer,
        size=SIZE,
        settings={"octaves": 2 if REDUCED else 3, "jitter": 8, "steps": 2 if REDUCED else 8},
    ).picture
labelled_sheet(
    {("", layer or "photograph"): picture for layer, picture in dreams.items()},
    rows=[""],
    columns=[layer or "photograph" for layer in dreams],
)

# %% [markdown]
# Each layer paints what it answers to: low ones edges and flat colours, higher ones ripples, then a weave.
# The slides' own pictures need a network that was trained to tell a thousand things apart.
#
# ## Style transfer by optimisation
#
# Both losses together, $L = \alpha L_s + \beta L_c$, and the picture is found as the reconstructions were.
# "Easy to tune effects (more content? more style?)": the style's weight, tenfold from picture to picture.
# The slides' improvements are tried as well: L-BFGS in the place of Adam, and a start from the photograph,
# from noise, from the painting, or from a mixture (seven tenths of noise).

# %%
METHOD = {
    "backbone.name": "vgg19-slim",
    "terms.content.loss": {"name": "content", "reduction": "mean"},
    "terms.content.layers": {"relu4_2": 1},
    "terms.style.loss": {"name": "gram", "scale": "hw", "reduction": "mean"},
    "terms.style.layers": {"relu1_2": 1, "relu2_2": 1, "relu3_3": 1, "relu4_3": 1},
    "initialization.name": "content",
    "pyramid.steps": [STEPS // 2 + 1],
}


def transfer(changes=None, **options):
    """The photograph in the painting's style, by the slides' loss."""
    settings = {**METHOD, **(changes or {})}
    return velatura.stylize(photo, painting, preset="gatys2016", size=SIZE, settings=settings, **options)


WEIGHTS = [0.1, 1, 10, 100]
tuned = {weight: transfer({"terms.style.weight": weight}) for weight in WEIGHTS}
labelled_sheet(
    {("", f"style x {weight:g}"): result.picture for weight, result in tuned.items()},
    rows=[""],
    columns=[f"style x {weight:g}" for weight in WEIGHTS],
)

# %%
STYLE = {"terms.style.weight": 10}
adam = {"optimizer": {"name": "adam", "lr": 2 / 255}}
runs = {
    "Adam": transfer({**STYLE, **adam}),
    "L-BFGS": transfer(STYLE),
    "from the painting": transfer({**STYLE, "initialization.name": "picture"}, start=painting),
    "from noise": transfer({**STYLE, "initialization.name": "uniform"}),
    "from 0.7 of noise": transfer({**STYLE, "initialization.noise": 0.7}),
}
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for name, result in runs.items():
    axis.semilogy([entry["loss"] for entry in result.history], label=name)
axis.set(xlabel="step", ylabel="loss")
axis.grid(alpha=0.3)
axis.legend(frameon=False, fontsize=8)
plt.show()
labelled_sheet({("", name): result.picture for name, result in runs.items()}, rows=[""], columns=list(runs))

# %% [markdown]
# L-BFGS is ahead of Adam after five steps and stays there: the slides' "Change optimizer: L-BFGS!". All
# starts go towards one loss. What differs is what is left of the start where the loss does not look: grain
# from noise, the sun and the path from the painting.
#
# ## A network that learns it
#
# An optimisation takes minutes, and takes them again for every picture. A feed-forward network is trained
# once, for one painting, with the same losses between its output and the photograph that it was given. Its
# layers are normalised over each picture by itself (instance normalisation) and not over a batch, which is
# what made such networks good:
#
# $$\mathrm{IN}_{n,f}(x) = \gamma_f \frac{x_{n,f} - \mu_{n,f}}{\sigma_{n,f}} + \beta_f$$
#
# The slides train 20,000 steps of four photographs at 512 pixels, in 10 hours on a GTX 1070. Here it is some
# hundred steps at 64 pixels with a network of a quarter of the width, on two dozen drawn photographs. Two
# things are chosen for so short a time: the statistics of the style are compared as Gaussians
# (Wasserstein-2), since with Gram matrices the colours were not found in 300 steps, and losses are relative
# to their targets, so that their weights do not depend on the network that looks.

# %%
work = tempfile.TemporaryDirectory()
school = Path(work.name) / "photographs"
school.mkdir()
for name in ("mountain-lake", "old-town", "still-life"):
    for seed in range(2 if REDUCED else 8):
        draw_sample(name, size=128, seed=seed + 1).save(school / f"{name}-{seed}.png")
painting.save(Path(work.name) / "painting.png")

sheets = {}
trained = velatura.train(
    "johnson",
    school,
    Path(work.name) / "painting.png",
    Path(work.name) / "run",
    settings={
        "network.width": 8,
        "network.norm": "instance",
        "network.padding": "reflect",
        "network.upsampling": "nearest",
        "network.norm_weights": "ones",
        "backbone.name": "vgg19-slim",
        "terms.content": {
            "of": "content",
            "weight": 0.7,
            "loss": {"name": "content", "reduction": "relative"},
            "layers": {"relu3_3": 1},
        },
        "terms.style": {
            "of": "style",
            "weight": 1,
            "loss": {"name": "wasserstein", "reduction": "relative"},
            "layers": {"relu1_2": 1, "relu2_2": 1, "relu3_3": 1, "relu4_3": 1},
        },
        "terms.smoothness.weight": 0,
        "style_size": 96,
        "average": 0.95,
        "framing": "crop",
        "crop": 64,
        "short_edge": 80,
        "lr": 1e-2,
        "steps": 4 if REDUCED else 300,
    },
    on_report=lambda report: sheets.update({report.step: report.sheet} if report.held_out else {}),
    report_every=2 if REDUCED else 10,
    validate_every=2 if REDUCED else 100,
    workers=0,
)
log = [json.loads(line) for line in (trained.path.parent / "log.jsonl").read_text().splitlines()]

# %%
steps = sorted(sheets)
labelled_sheet(
    {("", f"step {step}"): velatura.Picture(sheets[step]) for step in steps},
    rows=[""],
    columns=[f"step {step}" for step in steps],
)

# %% [markdown]
# On top is the painting; below it are photographs that were never learnt from, each beside what the network
# makes of it, as the training goes on. The slides show steps 1, 500 and 20,000. Three hundred small steps
# find the colours and something like strokes, and burn out bright spots.

# %%
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
learnt = [entry for entry in log if not entry.get("held_out")]
axis.plot([entry["step"] for entry in learnt], [entry["loss"] for entry in learnt])
axis.set(xlabel="step", ylabel="loss")
axis.grid(alpha=0.3)
plt.show()

# %% [markdown]
# ## Any painting at once
#
# AdaIN (Huang and Belongie 2017) mixes in feature space: the activations of the photograph take mean and
# deviation of the painting's, channel by channel, and a decoder paints what that means.
#
# $$\mathrm{AdaIN}(e_c, e_s) = \sigma(e_s) \, \frac{e_c - \mu(e_c)}{\sigma(e_c)} + \mu(e_s)$$
#
# One such network ships; it takes paintings that it has never seen.

# %%
others = {name: draw_sample(name, size=SIZE) for name in ("mosaic", "stained-glass", "woodcut-waves")}
painted = {
    name: velatura.stylize(photo, other, preset="instant", size=SIZE).picture
    for name, other in others.items()
}
labelled_sheet(
    {("painting", name): other for name, other in others.items()}
    | {("AdaIN", name): picture for name, picture in painted.items()},
    rows=["painting", "AdaIN"],
    columns=list(others),
)

# %% [markdown]
# ## What each costs
#
# The slides end with a table: minutes a picture and no training for the optimisation; 300 ms and hours for a
# network of one style; 450 ms and days for one of any style.


# %%
def timed(make):
    """The picture and the seconds that it took."""
    started = time.perf_counter()
    result = make()
    return result.picture, time.perf_counter() - started


model = velatura.load_model(trained.path)
ways = {
    "optimisation": lambda: transfer(STYLE),
    "this painting's network": lambda: velatura.apply(model, photo),
    "AdaIN": lambda: velatura.stylize(photo, painting, preset="instant", size=SIZE),
}
results = {name: timed(make) for name, make in ways.items()}
labelled_sheet(
    {("", name): picture for name, (picture, _) in results.items()},
    rows=[""],
    columns=list(ways),
    captions={("", name): f"{seconds:.2f} s" for name, (_, seconds) in results.items()},
)

# %%
work.cleanup()
