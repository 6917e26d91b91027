"""The usual PyTorch program: a pretrained MobileNetV2, images opened with Pillow in a loop, features into scikit-learn.

    python bench/torch_program.py ../shared/data/cats-dogs --weights mobilenet_v2-b0353104.pth

The network is torchvision's, defined here, so that torchvision is not needed; its weights file is.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from torch import nn

SIZE, BATCH = 160, 32
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def unit(channels: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU6())


class Block(nn.Module):
    def __init__(self, channels: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        self.residual = stride == 1 and channels == out
        hidden = channels * expand
        self.conv = nn.Sequential(
            *([unit(channels, hidden, kernel=1)] if expand > 1 else []),
            unit(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers, channels = [unit(3, 32, stride=2)], 32
        for expand, out, repeats, stride in STAGES:
            for index in range(repeats):
                layers.append(Block(channels, out, stride if index == 0 else 1, expand))
                channels = out
        self.features = nn.Sequential(*layers, unit(channels, 1280, kernel=1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.features(x).mean([2, 3])


def pixels(path: Path) -> torch.Tensor:
    image = Image.open(path).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return (torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 - MEAN) / STD


@torch.inference_mode()
def features(model: nn.Module, paths: list[Path]) -> np.ndarray:
    batches = (paths[start : start + BATCH] for start in range(0, len(paths), BATCH))
    return torch.cat([model(torch.stack([pixels(path) for path in batch])) for batch in batches]).numpy()


def list_images(folder: Path) -> tuple[list[Path], np.ndarray, list[str]]:
    paths = sorted(folder.glob("*/*.jpg"))
    names = sorted({path.parent.name for path in paths})
    return paths, np.array([names.index(path.parent.name) for path in paths]), names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with train/ and test/, each with a sub-folder per class")
    parser.add_argument("--weights", type=Path, required=True)
    arguments = parser.parse_args()

    model = MobileNetV2().eval()
    model.load_state_dict(torch.load(arguments.weights, weights_only=True))
    paths, labels, _ = list_images(arguments.data / "train")
    classifier = LogisticRegression(max_iter=1000).fit(features(model, paths), labels)

    paths, labels, names = list_images(arguments.data / "test")
    start = time.perf_counter()
    predictions = classifier.predict(features(model, paths))
    seconds = time.perf_counter() - start
    print(classification_report(labels, predictions, target_names=names))
    print(json.dumps({"predict_per_second": len(labels) / seconds, "accuracy": float((predictions == labels).mean())}))


if __name__ == "__main__":
    main()
