"""Distinction of configs for this package from configs for OpenGait."""

from collections.abc import Mapping
from typing import Any

from ..config import ConfigError

# Keys found only in OpenGait's own configs.
_OPENGAITS_OWN = {
    "data_cfg": ("test_dataset_name", "data_in_use", "remove_no_gallery"),
    "trainer_cfg": ("enable_float16", "with_test", "sync_BN", "fix_BN", "restore_ckpt_strict"),
    "evaluator_cfg": ("enable_float16", "restore_ckpt_strict", "cross_view_gallery"),
}


def is_ours(config: Any) -> bool:
    """Return whether a config is for this package and not for OpenGait."""
    data = config.get("data_cfg") if isinstance(config, Mapping) else None
    return isinstance(data, Mapping) and "train_splits" in data


def refuse_opengaits_own(config: Any) -> None:
    """Refuse a config for OpenGait, which our engine would interpret differently.

    Raises:
        ConfigError: If the config is for OpenGait; the message says where it runs and how our
            configs look.
    """
    if is_ours(config) or not isinstance(config, Mapping):
        return
    found = [
        f"{section}.{key}"
        for section, keys in _OPENGAITS_OWN.items()
        if isinstance(config.get(section), Mapping)
        for key in keys
        if key in config[section]
    ]
    if found and "data_cfg" in config:
        model = config.get("model_cfg")
        name = model.get("model") if isinstance(model, Mapping) else None
        raise ConfigError(
            f"this config is written for OpenGait itself ({', '.join(found[:3])}). There it runs "
            "as it is: torchrun opengait/main.py --cfgs FILE in the checkout. In our engine the "
            f"same model_cfg ({name}) runs with a config of ours: configs/gaitset_synth.yaml shows "
            "the form, docs/opengait.md what differs"
        )
