# forgecheck and its goldens in a small image: docker build -t forgecheck . ; docker run --rm -v "$PWD:/work" forgecheck verify
FROM debian:12 AS build
COPY . /source
WORKDIR /source
RUN scripts/install.sh && cmake --preset release && cmake --build --preset release && \
    cd build/release && cpack -G DEB

FROM debian:12-slim
COPY --from=build /source/build/release/*.deb /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends /tmp/*.deb && rm -rf /tmp/*.deb /var/lib/apt/lists/*
WORKDIR /work
ENTRYPOINT ["forgecheck"]
