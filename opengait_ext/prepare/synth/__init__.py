"""SynthVVI: people walking before visible and near-infrared cameras."""
