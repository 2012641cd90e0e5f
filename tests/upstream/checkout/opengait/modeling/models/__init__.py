from inspect import isclass

from . import baseline

for name, value in vars(baseline).items():
    if isclass(value):
        globals()[name] = value
