#!/usr/bin/env bash
# Repeats the studies that conf/experiment names, and copies their records to docs/studies/records.
#   bash docs/studies/run.sh DATA [SWEEP …]     (all sweeps, if none is named; pets names all that begin so)
# DATA holds dsb2018, ph2, oxford-iiit-pet and camvid. Every sweep resumes: run the same command again
# after an interruption, or when the records of finished cells are wanted before the end.
set -euo pipefail

data=${1:?the folder of the data sets}
shift
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
wanted=("$@")

# Whether the sweep of a name is wanted.
is_wanted() {
    local start
    [[ ${#wanted[@]} -eq 0 ]] && return
    for start in "${wanted[@]}"; do
        [[ $1 == "$start"* ]] && return
    done
    return 1
}

# A sweep with a name, and its records: no weights, no pictures.
sweep() {
    local name=$1
    shift
    is_wanted "$name" || return 0
    "$python" -m segbench -m "name=$name" "data.root=$data" "$@"
    "$python" "$here/keep.py" "outputs/$name" "$data" "$here/records"
}

sweep pets_unet experiment=pets_unet seed=0,1,2
sweep pets_pretrained experiment=pets_mobilenet seed=0,1,2 model=smp \
    model.encoder_name=tu-tf_efficientnet_lite0 \
    model.weights=null,tf_efficientnet_lite0-imagenet.pth
sweep pets_resnet34 experiment=pets_resnet34 data.size=128 seed=0,1,2

sweep ph2_widths experiment=ph2_losses data.size=128 seed=0,1,2 \
    model=unet_compact_8 model.base_channels=8,16,32,64 loss=dice
sweep ph2_sums experiment=ph2_losses data.size=128 seed=0,1,2 \
    model=unet_compact_8 loss=bce,focal_positive loss.reduction=sum
sweep ph2_128 experiment=ph2_losses data.size=128 seed=0,1,2
sweep ph2_150 experiment=ph2_losses data.size=128 seed=0,1,2 \
    data.split.train=150 data.split.val=25 data.split.test=25
sweep ph2_256 experiment=ph2_losses

sweep dsb2018_test experiment=dsb2018_unetpp seed=0,1,2 \
    data.split.train=0.7 data.split.val=0.1 data.split.test=0.2
sweep dsb2018_deep_unet experiment=dsb2018_unetpp seed=0,1,2 \
    data.split.train=0.7 data.split.val=0.1 data.split.test=0.2 \
    model=unet_vgg model.deep_supervision=true
# At half the width, which a laptop finishes.
sweep dsb2018_narrow experiment=dsb2018_unetpp seed=0,1,2 model.base_channels=16 \
    data.split.train=0.7 data.split.val=0.1 data.split.test=0.2
sweep dsb2018_narrow experiment=dsb2018_unetpp seed=0,1,2 model.base_channels=16 \
    data.split.train=0.7 data.split.val=0.1 data.split.test=0.2 \
    model=unet_vgg model.deep_supervision=true
sweep dsb2018_study experiment=dsb2018_unetpp

sweep camvid data=camvid,camvid_drives model=unet_compact model.base_channels=16 loss=ce \
    optimizer=adamw trainer.max_epochs=40 callbacks.early_stopping=null seed=0,1

# The networks of both splits, on the images that both test, and on the drive that one alone tests.
evaluations() {
    local name=$1 cells=$2 listed=$3 cell
    for cell in $cells; do
        "$python" -m segbench evaluate "run=$cell" "name=$name" data=camvid "data.root=$data" \
            "data.split={train: 300, val: 100, test: $listed}" part=test
    done
    "$python" "$here/keep.py" "outputs/$name/evaluations" "$data" "$here/records"
}
if is_wanted camvid; then
    both=outputs/camvid/tested_by_all.txt
    new=outputs/camvid/new_drive.txt
    "$python" "$here/tested.py" outputs/camvid > "$both"
    "$python" "$here/tested.py" outputs/camvid Seq05VD > "$new"
    evaluations camvid_common "$(ls -d outputs/camvid/unet_compact-*)" "$both"
    evaluations camvid_new_drive "$(grep -lx '  split: published' outputs/camvid/*/config.yaml | xargs dirname)" "$new"
fi

# At 16 base channels; torchvision's networks have no such option.
losses=bce,dice,bce_dice,focal,tversky,jaccard,lovasz,boundary
sweep gallery data=dsb2018 data.size=64 trainer.max_epochs=5 loss=$losses model.base_channels=16 \
    model=unet,unet_vgg,unet_compact,segnet,attention_unet,mobilenet_unet,resnet34_unet,unetpp,unet3plus
sweep gallery data=dsb2018 data.size=64 trainer.max_epochs=5 loss=$losses \
    model=lraspp_mobilenet_v3_large,fcn_resnet50,deeplabv3_resnet50
