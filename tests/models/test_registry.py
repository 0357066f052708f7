"""Which family a preset or a setting belongs to."""

import pytest

from synthograph.core.errors import SettingError, UserError
from synthograph.core.progress import Silent
from synthograph.models.registry import DEFAULT_FAMILY, FAMILIES, family_of_preset, parse_model
from synthograph.workflows.models import run
from synthograph.workflows.requests import ModelsRequest


def test_a_preset_names_its_family() -> None:
    assert family_of_preset("auto").name == family_of_preset("tiny").name == DEFAULT_FAMILY
    assert family_of_preset("tiny-progressive").name == "stylegan1"
    with pytest.raises(UserError, match="'progresive' is unknown: did you mean 'progressive'"):
        family_of_preset("progresive")


def test_a_setting_of_another_family_is_told_as_such() -> None:
    with pytest.raises(SettingError, match="those of stylegan1 do: --cfg progressive or --cfg "):
        parse_model({"start_dimension": 8})
    with pytest.raises(SettingError, match="'z_dmi': did you mean 'z_dim'"):
        parse_model({"family": "stylegan1", "z_dmi": 8})
    with pytest.raises(SettingError, match="must be at least 4"):
        parse_model({"family": "stylegan1", "start_dimension": 3})


def test_what_can_be_set_is_listed_by_family() -> None:
    text = "\n".join(run(ModelsRequest(size=64), progress=Silent()).lines())
    for name, each in FAMILIES.items():
        assert f"{name}  presets: {', '.join(each.preset_names())}" in text
        assert each.about and each.about.split(".")[0] in text
    of_one = run(ModelsRequest(preset="progressive"), progress=Silent())
    assert list(of_one.json()) == ["stylegan1"]
    with pytest.raises(UserError, match="preset 'progresive'"):
        run(ModelsRequest(preset="progresive"), progress=Silent())
