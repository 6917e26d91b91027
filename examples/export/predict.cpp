// The decision of an exported model for an image: predict model.onnx HEIGHT WIDTH < pixels.rgb
// g++ -std=c++17 predict.cpp -Iinclude -lonnxruntime -o predict
#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int count, char** words) {
  if (count != 4) return 2;
  const std::array<int64_t, 3> shape{std::atoll(words[2]), std::atoll(words[3]), 3};
  std::vector<uint8_t> pixels(shape[0] * shape[1] * shape[2]);  // RGB, row by row, upright
  if (std::fread(pixels.data(), 1, pixels.size(), stdin) != pixels.size()) return 2;

  Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "twofold");
  Ort::Session session(environment, words[1], Ort::SessionOptions{});
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  auto image = Ort::Value::CreateTensor<uint8_t>(memory, pixels.data(), pixels.size(), shape.data(), shape.size());
  const char* inputs[] = {"image"};
  const char* outputs[] = {"decision", "probability"};
  auto answer = session.Run(Ort::RunOptions{}, inputs, &image, 1, outputs, 2);
  // 0: the negative class, 1: the positive class, 2: unsure, 3: unfamiliar; parity.json has the names in "labels".
  std::printf("%d,%.6f\n", *answer[0].GetTensorData<int32_t>(), *answer[1].GetTensorData<float>());
}
