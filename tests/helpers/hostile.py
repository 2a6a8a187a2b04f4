"""Run folders and experiments that try to run code, each a change of an honest one.

Every target would write the file ``ran`` into the current folder, or reach the network, if it were
called. Used by the tests, and by whoever counts what was tried and refused.
"""

import copy
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

TOUCH = "touch ran"
SECRET = "SEGBENCH_TEST_SECRET"
_SYSTEM = {"_target_": "os.system", "command": TOUCH}
_ELASTIC = "torch.distributed.elastic.multiprocessing"
_CSV = "lightning.pytorch.loggers.CSVLogger"
_CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"
_CREATE = "${oc.create:{_target_: os.system, command: 'touch ran'}}"

# Targets with arguments; each stands once as the model, once inside it, once as the data set.
TARGETS: dict[str, dict[str, Any]] = {
    "os.system": _SYSTEM,
    "alias of os": {"_target_": "torch.os.system", "command": TOUCH},
    "alias in a submodule": {"_target_": "segbench.models.unet.torch.os.system", "command": TOUCH},
    "subprocess": {"_target_": "subprocess.run", "args": ["touch", "ran"]},
    "alias of subprocess": {
        "_target_": "segbench.hardware.device.subprocess.run",
        "args": ["touch"],
    },
    "eval": {"_target_": "builtins.eval", "_args_": ["open('ran', 'w')"]},
    "subprocess handler": {
        "_target_": f"{_ELASTIC}.subprocess_handler.SubprocessHandler",
        "entrypoint": "touch",
        "args": ["ran"],
        "env": {},
        "stdout": "ran",
        "stderr": "ran",
        "local_rank_id": 0,
    },
    "standard streams": {
        "_target_": f"{_ELASTIC}.redirects.redirect",
        "std": "stdout",
        "to_file": "ran",
    },
    "zip writer": {"_target_": "torch.PyTorchFileWriter", "_args_": ["ran"]},
    "zip writer's home": {"_target_": "torch._C.PyTorchFileWriter", "_args_": ["ran"]},
    "opener": {"_target_": "torch.serialization._open_file", "name": "ran", "mode": "w"},
    "TensorBoard writer": {"_target_": "torch.utils.tensorboard.SummaryWriter", "log_dir": "ran"},
    "torch.save": {"_target_": "torch.save", "obj": 1, "f": "ran"},
    "torch.load": {"_target_": "torch.load", "f": "evil.pkl", "weights_only": False},
    "torch.load's home": {"_target_": "torch.serialization.load", "f": "evil.pkl"},
    "torch.hub": {
        "_target_": "torch.hub.load",
        "repo_or_dir": ".",
        "model": "x",
        "source": "local",
    },
    "extension": {
        "_target_": "torch.utils.cpp_extension.load_inline",
        "name": "x",
        "cpp_sources": "",
    },
    "jit": {"_target_": "torch.jit.load", "f": "evil.pt"},
    "package": {"_target_": "torch.package.PackageImporter", "file_or_buffer": "evil.pt"},
    "benchmark": {"_target_": "torch.utils.benchmark.Timer", "stmt": "open('ran', 'w')"},
    "data loader": {"_target_": "torch.utils.data.DataLoader", "dataset": [1]},
    "torch.nn's utilities": {"_target_": "torch.nn.utils.clip_grad_norm_", "parameters": []},
    "global hook": {
        "_target_": "torch.nn.modules.module.register_module_forward_hook",
        "hook": None,
    },
    "weights": {"_target_": "torchvision.models.get_model_weights", "name": "resnet18"},
    "weights' home": {"_target_": "torchvision.models._api.get_model_weights", "name": "resnet18"},
    "fetches": {
        "_target_": "torchvision.models._api.load_state_dict_from_url",
        "url": "http://localhost:9/x",
    },
    "fetches elsewhere": {
        "_target_": "torchvision.models.resnet.load_state_dict_from_url",
        "url": "http://localhost:9/x",
    },
    "fetches by name": {"_target_": "torchvision.models.get_model", "name": "resnet18"},
    "downloads": {"_target_": "segbench.data.download.fetch", "_args_": ["http://localhost:9/x"]},
    "writes text": {"_target_": "segbench.records.record.write_text", "path": "ran", "text": ""},
    "a command": {"_target_": "segbench.commands.train.main"},
    "our main": {"_target_": "segbench.__main__.main", "argv": ["name=ran"]},
    "method": {"_target_": "torch.nn.Module.load_state_dict", "_args_": [None, {}]},
    "constructor": {"_target_": "segbench.models.unet.UNet.__init__", "_args_": [None, 3, 1]},
    "dunder": {"_target_": "torch.nn.Module.__init_subclass__.__class__"},
    "instantiate": {"_target_": "hydra.utils.instantiate", "config": _SYSTEM},
    "call": {"_target_": "hydra.utils.call", "config": _SYSTEM},
    "get_method": {"_target_": "hydra.utils.get_method", "path": "os.system"},
    "Hydra's policy": {
        "_target_": "hydra._internal.target_policy.UNCONTROLLED_EXECUTION_TARGETS.discard",
        "_args_": ["os.system"],
    },
    "Trainer": {
        "_target_": "lightning.Trainer",
        "default_root_dir": "ran",
        "callbacks": [{"_target_": _CHECKPOINT, "dirpath": "ran"}],
    },
    "logger": {"_target_": _CSV, "save_dir": "ran"},
    "callback": {"_target_": "lightning.pytorch.callbacks.OnExceptionCheckpoint", "dirpath": "ran"},
    "strategy": {"_target_": "lightning.pytorch.strategies.DDPStrategy"},
    "optimizer": {"_target_": "torch.optim.SGD", "params": []},
    "a module": {"_target_": "torch"},
    "empty": {"_target_": ""},
    "a number": {"_target_": 17},
    "a list": {"_target_": ["os", "system"]},
    "a mapping": {"_target_": {"os": "system"}},
    "nothing": {"_target_": None},
    "relative": {"_target_": "..os.system", "command": TOUCH},
    "spaces": {"_target_": " os.system", "command": TOUCH},
    "slashes": {"_target_": "torch/nn.Identity"},
    "line break": {"_target_": "torch.nn.Identity\nos.system"},
    "current folder": {"_target_": "evil.Model"},
    "plugin of the folder": {"_target_": "hydra_plugins.evil.Model"},
    "by interpolation": {"_target_": "${name}.system", "command": TOUCH},
    "partial": {"_target_": "os.system", "_partial_": True, "command": TOUCH},
    "not recursive": {**_SYSTEM, "_recursive_": False, "_convert_": "all"},
}

# Further changes of a run's config, by dotted key; all of them must be refused.
REFUSED: dict[str, dict[str, Any]] = {
    "oc.create": {"model.dropout": _CREATE},
    "oc.create as the model": {"model": _CREATE},
    "oc.create in data": {"data.split": _CREATE},
    "oc.create elsewhere": {"published": _CREATE},
    "oc.decode": {"model.dropout": "${oc.decode:'{_target_: os.system}'}"},
    "oc.env": {"name": f"${{oc.env:{SECRET}}}"},
    "oc.env in data": {"data.class_names": ["a", f"${{oc.env:{SECRET}}}"]},
    "oc.env, nested": {"model.up": f"${{basename:${{oc.env:{SECRET}}}}}"},
    "oc.select": {"model.up": "${oc.select:hydra}"},
    "oc.dict.values": {"model.up": "${oc.dict.values:data}"},
    "name from a value": {"a": "oc.env", "model.up": f"${{${{a}}:{SECRET}}}"},
    "spaces in it": {"model.up": f"${{ oc.env : {SECRET} }}"},
    "escaped": {"name": f"\\${{oc.env:{SECRET}}}"},
    "escaped twice": {"name": f"\\\\\\${{oc.env:{SECRET}}}"},
    "hydra node": {"hydra": {"x": _SYSTEM}, "model.dropout": "${hydra.x}"},
    "hydra resolver": {"hydra": {"x": _SYSTEM}, "model.dropout": "${hydra:x}"},
    "cell": {"name": "${cell:}"},
    "now": {"name": "${now:%Y}"},
    "unknown resolver": {"name": "${evil:x}"},
    "node of another key": {"x": _SYSTEM, "model.dropout": "${x}"},
    "list of another key": {"x": [_SYSTEM], "data.split": "${x}"},
    "in a list": {"data.split": {"train": [_SYSTEM]}},
    "deep in a list": {"model.dropout": [[{"a": [_SYSTEM]}]]},
    "defaults": {"data.defaults": [{"override /hydra/job_logging": "default"}]},
    "no target": {"model": {"in_channels": 3}},
    "no mapping": {"model": "segbench.models.unet.UNet"},
    "a network as data": {"data": {"_target_": "torch.nn.Identity"}},
    "data as network": {"model": {"_target_": "segbench.data.synthetic.SyntheticDataModule"}},
    "a loss as network": {"model": {"_target_": "segbench.losses.overlap.DiceLoss"}},
    "another hub": {
        "model": {
            "_target_": "segbench.models.smp.SMPModel",
            "in_channels": 3,
            "out_channels": 1,
            "encoder_name": "tu-hf-hub:evil/model",
        }
    },
}

# What evaluation and inference do not build, and so need not refuse.
IGNORED: dict[str, dict[str, Any]] = {
    "trainer": {"trainer": _SYSTEM},
    "trainer's callbacks": {"trainer.callbacks": [_SYSTEM]},
    "trainer's profiler": {"trainer.profiler": _SYSTEM, "trainer.default_root_dir": "/ran"},
    "trainer's plugins": {"trainer.plugins": [{"_target_": "torch.PyTorchFileWriter"}]},
    "trainer's strategy": {"trainer.strategy": {"_target_": "evil.Strategy"}},
    "callbacks": {"callbacks.x": _SYSTEM},
    "logger": {"logger": {"x": {"_target_": _CSV, "save_dir": "/"}}},
    "loss": {"loss": _SYSTEM},
    "optimizer": {"optimizer": _SYSTEM},
    "scheduler": {"scheduler": _SYSTEM},
    "augment": {"augment": _SYSTEM, "data.augment": {"Lambda": {"image": "os.system"}}},
    "hydra callbacks": {"hydra": {"callbacks": {"x": _SYSTEM}, "job": {"env_set": {"A": "b"}}}},
    "another key": {"x": _SYSTEM},
}

# Whole texts in place of a run's config.
TEXTS = {
    "Python tag": "model: !!python/object/apply:os.system ['touch ran']\n",
    "Python path": "model: !!python/object/apply:pathlib.Path ['ran']\n",
    "merge key": "x: &x {_target_: os.system, command: touch ran}\nmodel: {<<: *x}\n",
    "anchor": "x: &x {_target_: os.system, command: touch ran}\nmodel: *x\n",
    "bomb": "a: &a [x, x]\n"
    + "".join(f"{n}: &{n} [*{o}, *{o}]\n" for o, n in zip("abcdefgh", "bcdefghi", strict=True)),
    "interpolation bomb": "".join(f"a{i}: ${{a{i + 1}}}${{a{i + 1}}}\n" for i in range(60))
    + "a60: x\n",
    "one long interpolation": "a: " + "${b}" * 1000 + "\nb: x\n",
    "deep": "a: " + "[" * 5000 + "]" * 5000,
    "large": "a: " + "x" * 2**20,
    "bytes": "a: !!binary AAAA\n",
    "two targets": "model: {_target_: torch.nn.Identity, _target_: os.system}\n",
    "escape in a key": 'model: {"\\x5ftarget_": os.system, command: touch ran}\n',
    "two documents": "a: 1\n---\nmodel: {_target_: os.system}\n",
}

# Keys that an experiment, or another YAML of the user's own, may not set.
EXPERIMENTS: dict[str, dict[str, Any]] = {
    "oc.create": {"model": {"dropout": _CREATE}},
    "oc.create as a callback": {"callbacks": {"x": _CREATE}},
    "hydra callback": {"hydra": {"callbacks": {"x": _SYSTEM}}},
    "hydra callback in a list": {"hydra": {"callbacks": {"x": {"y": [_SYSTEM]}}}},
    "hydra callback, created": {"hydra": {"callbacks": {"x": _CREATE}}},
    "hydra callback, created late": {
        "hydra": {"callbacks": {"x": "${oc.create:${hydra:job.config}}"}}
    },
    "hydra callback by name": {
        "x": _SYSTEM, "hydra": {"callbacks": {"x": "${x}"}}},
    "hydra's own callback": {
        "hydra": {
            "callbacks": {"x": {"_target_": "hydra.experimental.callbacks.PickleJobInfoCallback"}}
        }
    },
    "launcher": {"hydra": {"launcher": _SYSTEM}},
    "launcher's argument": {"hydra": {"launcher": {"x": _SYSTEM}}},
    "sweeper": {"hydra": {"sweeper": _SYSTEM}},
    "sweeper's argument": {"hydra": {"sweeper": {"params": {"x": _SYSTEM}}}},
    "logging factory": {
        "hydra": {
            "job_logging": {
                "root": {"level": "INFO", "handlers": ["x"]},
                "handlers": {"x": {"()": "os.system", "command": TOUCH}},
            }
        }
    },
    "logging class": {
        "hydra": {
            "hydra_logging": {
                "root": {"level": "INFO", "handlers": ["x"]},
                "handlers": {"x": {"class": "logging.handlers.SocketHandler", "host": "localhost"}},
            }
        }
    },
    "logging file": {
        "hydra": {
            "job_logging": {
                "root": {"level": "INFO", "handlers": ["x"]},
                "handlers": {"x": {"class": "logging.FileHandler", "filename": "/ran"}},
            }
        }
    },
    "logging by reference": {
        "hydra": {"job_logging": {"formatters": {"x": {"format": "ext://os.system"}}}}
    },
    "environment": {"hydra": {"job": {"env_set": {"SEGBENCH_PACKAGES": "posix"}}}},
}  # fmt: skip


def change(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of a nested config with the values at some dotted keys replaced."""
    made = copy.deepcopy(config)
    for dotted, value in changes.items():
        *groups, last = dotted.split(".")
        node = made
        for group in groups:
            if not isinstance(node.get(group), dict):
                node[group] = {}
            node = node[group]
        node[last] = copy.deepcopy(value)
    return made


def hostile_texts(honest: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Of each hostile run the text of its config, and whether it must be refused."""
    changes: dict[str, tuple[dict[str, Any], bool]] = {}
    for name, node in TARGETS.items():
        changes[f"model: {name}"] = {"model": node, "name": "os"}, True
        changes[f"in the model: {name}"] = {"model.dropout": [{"a": node}], "name": "os"}, True
        layers = {"_target_": "torch.nn.Sequential", "_args_": [node]}
        changes[f"layer: {name}"] = {"model": layers, "name": "os"}, True
        changes[f"data: {name}"] = {"data": node, "name": "os"}, True
    changes |= {name: (each, True) for name, each in REFUSED.items()}
    changes |= {f"ignored {name}": (each, False) for name, each in IGNORED.items()}
    texts = {
        name: (yaml.safe_dump(change(honest, each)), refused)
        for name, (each, refused) in changes.items()
    }
    return texts | {f"text: {name}": (text, True) for name, text in TEXTS.items()}


def write_runs(honest: Path, folder: Path) -> dict[Path, tuple[str, bool]]:
    """Write each hostile run; of each its name, and whether it must be refused."""
    config = yaml.safe_load((honest / "config.yaml").read_text())
    made = {}
    for place, (name, (text, refused)) in enumerate(hostile_texts(config).items()):
        run = folder / f"{place:03d}"
        (run / "checkpoints").mkdir(parents=True)
        os.link(honest / "checkpoints" / "best.ckpt", run / "checkpoints" / "best.ckpt")
        shutil.copy(honest / "run.json", run)
        (run / "config.yaml").write_text(text)
        made[run] = name, refused
    return made


def write_experiments(folder: Path) -> dict[str, str]:
    """Write ``experiment/*.yaml`` for ``--config-dir``; of each option what it tries."""
    made = {}
    (folder / "experiment").mkdir(parents=True)
    for place, (name, node) in enumerate(EXPERIMENTS.items()):
        text = "# @package _global_\n" + yaml.safe_dump({"name": "os", **node})
        (folder / "experiment" / f"x{place:03d}.yaml").write_text(text)
        made[f"x{place:03d}"] = name
    return made
