# For those who host it themselves:
#   docker build -t image-lab .
#   docker run --read-only --tmpfs /tmp:exec -p 7860:7860 image-lab        then open http://127.0.0.1:7860
# Without CUDA's libraries, some gigabytes less: --build-arg PIP_EXTRA_INDEX_URL=<PyTorch's index of CPU builds>
FROM python:3.12-slim-bookworm

WORKDIR /app

COPY packages.txt .
# hadolint ignore=DL3008
RUN apt-get update \
    && xargs -a packages.txt apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/*

COPY requirements.txt .
ARG PIP_EXTRA_INDEX_URL=
RUN python -m pip install --no-cache-dir -r requirements.txt

COPY . .
# YOLO11n's COCO weights (5 MB, AGPL-3.0), the default where they are: --build-arg FETCH_YOLO=1
# The program that browsers compute with (onnxruntime-web, MIT, 41 MB), for a server without network: --build-arg FETCH_RUNTIME=1
ARG FETCH_YOLO=
ARG FETCH_RUNTIME=
RUN if [ -n "$FETCH_YOLO" ]; then mkdir preloaded && IMAGE_LAB_CACHE=/tmp/yolo \
    python -c "from tasks.detection.checkpoints import download; download('yolo11n')" \
    && mv /tmp/yolo/yolo11n.pt preloaded/ && rm -r /tmp/yolo; fi; \
    if [ -n "$FETCH_RUNTIME" ]; then python -c "from pathlib import Path; from tasks.ui.on_device import runtime; \
    runtime.fetch(list(runtime.FILES), Path('preloaded'))"; fi
RUN useradd --create-home --uid 1000 lab
USER 1000

# All that is written while it runs goes to /tmp: uploads for two hours, downloaded weights in IMAGE_LAB_CACHE.
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_TEMP_DIR=/tmp/gradio \
    IMAGE_LAB_CACHE=/tmp/image-lab \
    PYTHONDONTWRITEBYTECODE=1
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/').close()"]
CMD ["python", "app.py"]
