"""Evaluators, looked up in this module."""


def evaluate_indoor_dataset(data, dataset, metric="euc", cross_view_gallery=False):
    raise KeyError(f"{dataset} is no data set of this evaluator")
