# Three images: `docker build --target NAME .` with NAME meterline (the default), linky-exporter or smartmeter-exporter.
# They differ in what they start as, and in the port that their health is asked at.
# Python is Debian's, so that every machine that Debian runs on will do: amd64, arm64, armv7, armv6.
ARG BASE=debian:12-slim

FROM ${BASE} AS build
# DL3008 asks for pins; Debian keeps one version of a package, so a pin would break at the next security update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
# Without a network: docs/install.md says how to fill wheels/ and what to set these to.
ARG PIP_NO_INDEX=
ARG PIP_FIND_LINKS=
# auth.txt: with bcrypt, for passwords. holidays.txt: with the holidays of countries, for tariffs. mqtt.txt: with aiomqtt, for MQTT.
ARG REQUIREMENTS=run.txt
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/ wheels* /wheels/
RUN python3 -m venv /opt/meterline \
    && /opt/meterline/bin/pip install --require-hashes --requirement /wheels/${REQUIREMENTS}
# What builds our own wheel, as pinned for developers, without the rest of their tools.
RUN awk '/^[a-z]/ { wanted = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } wanted' /wheels/dev.txt > /wheels/build.txt \
    && python3 -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --requirement /wheels/build.txt
COPY pyproject.toml README.md LICENSE /source/
COPY packaging/man/ /source/packaging/man/
COPY src/ /source/src/
WORKDIR /source
RUN /opt/build/bin/hatchling build --target wheel --directory /source/dist \
    && /opt/meterline/bin/pip install --no-index --no-deps /source/dist/*.whl \
    && /opt/meterline/bin/python -m compileall -q /opt/meterline \
    && /opt/meterline/bin/pip uninstall --yes --quiet setuptools pip

FROM ${BASE} AS program
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 meterline \
    && useradd --uid 10001 --gid meterline --groups dialout --no-create-home --home-dir /var/lib/meterline --shell /usr/sbin/nologin meterline \
    && install --directory --owner meterline --group meterline --mode 0700 /var/lib/meterline
COPY --from=build /opt/meterline /opt/meterline
ENV PATH=/opt/meterline/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 STATE_DIRECTORY=/var/lib/meterline
VOLUME /var/lib/meterline
USER 10001
# It is asked where the program serves: at the port of the exporters' variables or JSON file, else at HEALTH_PORT.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["python3", "-m", "meterline.cli.health"]

FROM program AS linky-exporter
ENV HEALTH_PORT=8123
EXPOSE 8123
ENTRYPOINT ["linky-exporter"]

FROM program AS smartmeter-exporter
ENV HEALTH_PORT=9102
EXPOSE 9102
ENTRYPOINT ["smartmeter-exporter"]

FROM program AS meterline
ENV HEALTH_PORT=10230
EXPOSE 10230
ENTRYPOINT ["meterline"]
CMD ["run", "--config.file", "/etc/meterline.yml"]
