#!/usr/bin/env bash
# A quarter of an hour on one GPU behind a link that carries some 60 MiB at a time: what is trained there, and how.
#
#   WORK=... OUT=... [TINY=1] scripts/gpu.sh STEP...
#
# WORK  folder that stays between calls; OUT  folder whose files (16 MiB each at most) come back
# TINY  rehearse on a CPU: two steps of everything
#
#   install   wheels that the machine lacks, from .whl
#   take      pieces of data and weights (scripts/gpu_carry.py), from .carry
#   bench     the training benchmark's rows
#   teacher   CLIP ViT-B/16 of which only the LayerNorms and the classifier train, on all sources
#   student   a ResNet50 at 224 px that learns the teacher's probabilities of degraded views
#   out-SET   the teacher without SET, a quarter as long: what it gives on a source that it never saw
#
# Each step goes on from where it was stopped. On an H100 it took what docs/flagship.md says.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 HF_DEEPFAKE_CACHE="$WORK/cache" PYTHONUNBUFFERED=1
export PYTHONPATH="$WORK/site:$PWD"
tiny=${TINY:+--steps_per_epoch 2 --batch_size 8 --workers 0 --epochs 1}
python=${PYTHON:-python3}
mkdir -p "$WORK" "$OUT"

train() { # NAME OPTIONS...: start a run, or go on with it; its small files go out
    local folder="$WORK/runs/$1"
    shift
    if [ ! -d "$folder/checkpoint" ]; then
        "$python" -m hf_deepfake.cli.main train --output_dir "$folder" "$@" $tiny --explained 0 --audit off \
            $([ -f "$folder/run.json" ] && echo --resume)
    fi
    keep "$folder"
}

keep() { # FOLDER: what is small of a run
    local name
    name=$(basename "$1")
    mkdir -p "$WORK/kept/$name"
    cp "$1/run.json" "$1/checkpoint/report.json" "$1/checkpoint/config.json" "$WORK/kept/$name/"
    [ -d "$1/adapter" ] && cp "$1"/adapter/* "$WORK/kept/$name/"
    tar -C "$WORK/kept" -cf "$OUT/$name.tar" "$name"
}

sets() { # [WITHOUT]: all training sets that are there but one
    for set in dfdc ciplab stylegan1-ffhq stylegan2-tpdne t2i-web sfhq2-unsplash; do
        [ "$set" = "${1:-}" ] || [ ! -d "$WORK/data/$set" ] || echo "$WORK/data/$set"
    done
}

adapt() { # NAME STEPS EPOCHS [WITHOUT]
    train "$1" --data $(sets "${4:-}") --model vit_base_patch16_clip_quickgelu_224 --adapter layernorm \
        --pretrained "$WORK/data/clip.safetensors" --image_size 224 --batch_size 128 --lr 6e-4 --weight_decay .01 \
        --sampling paired --origin_sampling_alpha .7 --degrade .5 --ema .995 --save_fp16 --workers 15 \
        --steps_per_epoch "$2" --epochs "$3"
}

for step in "$@"; do
    echo "== $step at $(date +%T)"
    case $step in
        install)
            "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
                --target "$WORK/site" .whl/*.whl
            # The run's record asks for the package's own version.
            info="$WORK/site/hf_deepfake-0.1.0.dist-info"
            mkdir -p "$info" && printf 'Metadata-Version: 2.1\nName: hf-deepfake\nVersion: 0.1.0\n' > "$info/METADATA"
            "$python" -c "import torch, timm, transformers, datasets, peft, av, hf_deepfake
print(torch.__version__, timm.__version__, transformers.__version__, datasets.__version__, peft.__version__)
print(torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU')"
            ;;
        take)
            "$python" scripts/gpu_carry.py take .carry --out "$WORK/data"
            du -sh "$WORK/data"
            ;;
        bench)
            batch=128
            [ -z "${TINY:-}" ] || batch=4
            "$python" benchmarks/train.py --data "$WORK/data/dfdc" --batch_size $batch --steps "${TINY:-16}" \
                --repeats "${TINY:-2}" --workers "${TINY:-15}" --output "$OUT/train_gpu.json"
            ;;
        teacher) adapt teacher 300 5 ;;
        out-*) adapt "$step" 300 1 "${step#out-}" ;;
        student)
            train student --data $(sets) --model resnet50 --pretrained "$WORK/data/resnet50.safetensors" \
                --teacher "$WORK/runs/teacher/checkpoint" --distillation_weight .7 --image_size 224 --batch_size 128 \
                --lr 5e-4 --sampling paired --origin_sampling_alpha .5 --degrade .5 --ema .998 --save_fp16 \
                --steps_per_epoch 270 --epochs 6 --workers 15
            "$python" scripts/gpu_carry.py cut "$WORK/runs/student/checkpoint/model.safetensors" --out "$OUT"
            ;;
        *)
            echo "unknown step $step" >&2
            exit 2
            ;;
    esac
done
