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
#   adapters  what each adapter of CLIP ViT-B/16 costs
#   layernorm CLIP ViT-B/16 of which only the LayerNorms and the classifier train, on all sources
#   lora      the same by low-rank additions
#   resnet50  a ResNet50 at 224 px that learns the probability of degraded views by the mean log-odds of both
#   lite0     an EfficientNet-Lite0 at 160 px that learns the same
#   out-SET   layernorm without SET, a quarter as long: what it gives on a source that it never saw
#
# Each step goes on from where it was stopped. On an H100 it took what docs/flagship.md says.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 HF_DEEPFAKE_CACHE="$WORK/cache" PYTHONUNBUFFERED=1
export PYTHONPATH="$WORK/site:$PWD"
tiny=${TINY:+--steps_per_epoch 2 --batch_size 8 --workers 0 --epochs 1}
python=${PYTHON:-python3}
batch=128
[ -z "${TINY:-}" ] || batch=4
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
    cp "$1/run.json" "$1"/checkpoint/{report.json,config.json,scores.parquet,seen_images.npz} "$WORK/kept/$name/"
    [ -d "$1/adapter" ] && cp "$1"/adapter/* "$WORK/kept/$name/"
    tar -C "$WORK/kept" -cf "$OUT/$name.tar" "$name"
}

sets() { # [WITHOUT]: all training sets that are there but one
    for set in dfdc ciplab stylegan1-ffhq stylegan2-tpdne t2i-web sfhq2-unsplash utk; do
        [ "$set" = "${1:-}" ] || [ ! -d "$WORK/data/$set" ] || echo "$WORK/data/$set"
    done
}

adapt() { # NAME ADAPTER LR STEPS EPOCHS [WITHOUT]
    train "$1" --data $(sets "${6:-}") --model vit_base_patch16_clip_quickgelu_224 --adapter "$2" \
        --pretrained "$WORK/data/clip.safetensors" --image_size 224 --batch_size 128 --lr "$3" --weight_decay .01 \
        --sampling paired --origin_sampling_alpha .7 --degrade .5 --ema .995 --save_fp16 --workers 15 \
        --steps_per_epoch "$4" --epochs "$5"
}

distil() { # NAME MODEL PIXELS STEPS EPOCHS: learn from the adapters that are there
    train "$1" --data $(sets) --model "$2" --pretrained "$WORK/data/$2.safetensors" \
        --teacher $(ls -d "$WORK"/runs/{layernorm,lora}/checkpoint) --distillation_weight .7 \
        --image_size "$3" --batch_size 128 --lr 5e-4 --sampling paired --origin_sampling_alpha .5 --degrade .5 \
        --ema .998 --save_fp16 --workers 15 --steps_per_epoch "$4" --epochs "$5"
    "$python" scripts/gpu_carry.py cut "$WORK/runs/$1/checkpoint/model.safetensors" --out "$OUT/$1"
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
            "$python" benchmarks/train.py --data "$WORK/data/dfdc" --batch_size $batch --steps "${TINY:-16}" \
                --repeats "${TINY:-2}" --workers "${TINY:-15}" --output "$OUT/train_gpu.json"
            ;;
        adapters)
            "$python" benchmarks/adapters.py --model vit_base_patch16_clip_quickgelu_224 --batch_size $batch \
                --steps ${TINY:-8} --output "$OUT/adapters_gpu.json"
            ;;
        layernorm) adapt layernorm layernorm 6e-4 300 5 ;;
        lora) adapt lora lora 4e-4 300 3 ;;
        out-*) adapt "$step" layernorm 6e-4 300 1 "${step#out-}" ;;
        resnet50) distil resnet50 resnet50 224 540 4 ;;
        lite0) distil lite0 tf_efficientnet_lite0 160 540 3 ;;
        *)
            echo "unknown step $step" >&2
            exit 2
            ;;
    esac
done
