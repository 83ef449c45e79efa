"""784-45-10 in PyTorch."""

import torch
from start import W1, W2, X, b1, b2, iterations, labels, rate

torch.set_default_dtype(torch.float64)
model = torch.nn.Sequential(
    torch.nn.Linear(784, 45),
    torch.nn.ReLU(),
    torch.nn.Linear(45, 10),
)
model[0].weight.data = torch.tensor(W1)
model[0].bias.data = torch.tensor(b1)
model[2].weight.data = torch.tensor(W2)
model[2].bias.data = torch.tensor(b2)

loss_of = torch.nn.CrossEntropyLoss()
rule = torch.optim.SGD(model.parameters(), lr=rate)

inputs = torch.tensor(X)
targets = torch.tensor(labels)
for _ in range(iterations):
    loss = loss_of(model(inputs), targets)
    print(f"{loss.item():.8f}")
    rule.zero_grad()
    loss.backward()
    rule.step()
