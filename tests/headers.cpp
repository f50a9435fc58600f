// Nothing: the file for whose sake the tests' headers are precompiled (tests/CMakeLists.txt).
