"""PyTorch, eager, as its tutorials train: modules, `cross_entropy`, `backward`, an optimiser's `step`.

The pictures are one tensor of floats, which is much faster than a DataLoader; the loss is added up without leaving the
tensors until the epoch's end.
"""

import torch
from torch import nn

from benchmarks.contestants import Contestant
from benchmarks.work import Work
from byhand.threads import processors


class Trainer(Contestant):
    """A Sequential of Linear and ReLU."""

    def __init__(self, work: Work) -> None:
        torch.set_num_threads(len(processors()))
        X, y = work.floats()
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        layers: list[nn.Module] = []
        for W, b in work.start:
            linear = nn.Linear(*W.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T))
                linear.bias.copy_(torch.from_numpy(b))
            layers += [linear, nn.ReLU()]
        self.network = nn.Sequential(*layers[:-1])
        rule = torch.optim.SGD if work.optimizer == "sgd" else torch.optim.Adam
        self.optimizer = rule(self.network.parameters(), lr=work.rate)
        self.loss = nn.CrossEntropyLoss()
        self.batch, self.steps = work.batch, work.steps

    def epoch(self, number: int) -> float:
        total = torch.zeros(())
        order = torch.arange(len(self.X)) if number == 0 else torch.randperm(len(self.X))
        for i in range(self.steps):
            X, y = self.X, self.y
            if self.batch is not None:
                index = order[i * self.batch : (i + 1) * self.batch]
                X, y = self.X[index], self.y[index]
            loss = self.loss(self.network(X), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return float(total) / self.steps
