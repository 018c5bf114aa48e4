# The tool with a compiler for this computer and for Cortex-M: docker build -t ggdq-mcu . && docker run -v "$PWD:/work" ggdq-mcu doctor
FROM python:3.12-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm \
    && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN pip install --no-cache-dir "/source[tflite,onnx,compiler]" && rm -rf /source
ENV GGDQ_PIO=local GGDQ_CACHE=/tmp/ggdq-mcu
WORKDIR /work
ENTRYPOINT ["ggdq-mcu"]
