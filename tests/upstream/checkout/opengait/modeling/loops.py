"""Training and test of a model that stands in DistributedDataParallel."""

import torch
from evaluation import evaluator
from torch import distributed
from utils import takes


def training(wrapped, test):
    model = wrapped.module
    section = model.engine_cfg
    for batch in model.train_loader:
        outputs = wrapped(model.inputs_pretreament(batch))
        value, numbers = model.total(outputs["training_feat"])
        model.optimizer.zero_grad()
        value.backward()
        model.optimizer.step()
        model.scheduler.step()
        model.iteration += 1
        if model.iteration % section["log_iter"] == 0:
            model.journal.iteration(numbers, outputs["visual_summary"])
        rest = model.iteration % section["save_iter"]
        if not rest:
            model.save_ckpt(model.iteration)
        if section["with_test"] and not rest:
            between(wrapped, test)
        if model.iteration >= section["total_iter"]:
            break


def between(wrapped, test):
    """A test while training; its numbers join the curves."""
    wrapped.eval()
    numbers = test(wrapped)
    wrapped.train()
    if numbers:
        wrapped.module.journal.write({f"test {tag}": each for tag, each in numbers.items()})


def testing(wrapped):
    model = wrapped.module
    parts, processes = model.cfgs, distributed.get_world_size()
    section, name = parts["evaluator_cfg"], parts["data_cfg"]["test_dataset_name"]
    if section["sampler"]["batch_size"] != processes:
        raise ValueError(f"evaluator_cfg.sampler.batch_size is not {processes}")
    with torch.no_grad():
        rank = distributed.get_rank()
        found = model.inference(rank)
    if rank:
        return None
    seen = model.test_loader.dataset
    found |= {"labels": seen.label_list, "types": seen.types_list, "views": seen.views_list}
    judge = getattr(evaluator, section["eval_func"])
    return judge(found, name, **takes(judge, section))
