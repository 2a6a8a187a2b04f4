# Processors only:  docker build --tag segbench .
# NVIDIA GPUs:      docker build --tag segbench:cuda --build-arg TORCH=cu126 .
# docs/using.md says how to run it.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG TORCH=cpu
ARG EXTRAS=smp,monai,tune,medical,coco,objects,export
RUN python -m venv /opt/segbench
ENV PATH=/opt/segbench/bin:$PATH
# PyTorch alone first: a change of segbench then downloads it no second time.
RUN pip install --no-cache-dir --index-url "https://download.pytorch.org/whl/${TORCH}" \
    "torch>=2.11,!=2.13.0" "torchvision>=0.26"
WORKDIR /source
COPY LICENSE README.md pyproject.toml ./
COPY conf conf
COPY src src
# The versions are those of pyproject.toml.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".[${EXTRAS}]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/segbench /opt/segbench
# Anyone may write there, as `docker run --user` names a user that the image does not know.
RUN useradd --create-home --uid 1000 segbench \
    && install --directory --mode 1777 /project /home/segbench
ENV PATH=/opt/segbench/bin:$PATH \
    HOME=/home/segbench \
    USER=segbench \
    PYTHONUNBUFFERED=1
USER 1000:1000
WORKDIR /project
ENTRYPOINT ["python", "-m", "segbench"]
CMD ["--help"]
