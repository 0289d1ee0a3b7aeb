# An image in which the first search does not wait: everything is compiled for the machine that
# builds it (on a processor of another kind, it is compiled again).
FROM python:3.12-slim
COPY . /src
RUN pip install --no-cache-dir -c /src/constraints.txt '/src[study]' && rm -rf /src
RUN useradd --create-home toolkit
USER toolkit
WORKDIR /home/toolkit
RUN toolkit warm-up
ENTRYPOINT ["toolkit"]
