"""What recording a training step as a CUDA graph brings: seconds per step, recorded beside launched one by one.

``pytest tests/performance/test_training_step.py --benchmark-only -s`` on a machine with a GPU; without one, both are launched one by one.
"""

from dataclasses import replace

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from harness.networks import zoo
from harness.networks.datasets import Dataset, Split
from harness.training import finetune, processor, recipes, stepping

STEPS, FEW_STEPS, BATCH = 400, 6, 64
STEPS_WITHOUT_GPU = 1  # nothing is recorded there: that both ways train is all that is shown


@pytest.mark.parametrize("network", ["resnet56", "mobilenetv2"])
def test_a_recorded_step(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, network: str, judged: bool) -> None:
    has_gpu = processor.device().type == "cuda"
    steps = (STEPS if judged else FEW_STEPS) if has_gpu else STEPS_WITHOUT_GPU
    drawn = torch.randn(BATCH * 4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    split = Split(drawn, torch.arange(len(drawn)) % 10)
    dataset = Dataset("noise", "0" * 16, (1, 28, 28), 10, split, split, split)
    recipe = replace(recipes.tuning_recipe("noise", steps * BATCH / len(drawn)), distillation=0.0, calibration_images=BATCH)
    model = zoo.build(network, dataset.input_shape, dataset.classes)

    def seconds_per_step() -> float:
        tuned = finetune.finetune(model, dataset, recipe)
        return tuned.seconds / tuned.steps

    if has_gpu:
        seconds_per_step()  # libraries are loaded, kernels chosen
    recorded = benchmark.pedantic(seconds_per_step, rounds=1, iterations=1)
    monkeypatch.setattr(stepping, "EAGER_STEPS", steps)
    launched = seconds_per_step()
    how = "recorded" if has_gpu else "not recorded, for want of a GPU"
    print(f"\n{network}, batches of {BATCH}, {how}: {1e3 * recorded:.1f} ms a step; launched one by one: {1e3 * launched:.1f} ms")
