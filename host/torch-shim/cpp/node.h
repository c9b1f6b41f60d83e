// How operators of our own become nodes of libtorch's graph.
#pragma once

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <vector>

namespace node {

// Puts `node` behind `outputs` if a gradient is wanted of any input.
template <typename Backward>
void follow(std::vector<at::Tensor> &outputs, std::shared_ptr<Backward> node, const torch::autograd::variable_list &inputs) {
  torch::autograd::edge_list edges;
  for (const at::Tensor &input : inputs)
    edges.push_back(input.defined() ? torch::autograd::impl::gradient_edge(input) : torch::autograd::Edge());
  node->set_next_edges(std::move(edges));
  for (at::Tensor &output : outputs) torch::autograd::set_history(output, node);
}

inline bool is_wanted(const torch::autograd::variable_list &inputs) {
  if (!at::GradMode::is_enabled()) return false;
  for (const at::Tensor &input : inputs)
    if (input.defined() && input.requires_grad()) return true;
  return false;
}

template <typename Backward>
std::shared_ptr<Backward> made() {
  return std::shared_ptr<Backward>(new Backward(), torch::autograd::deleteNode);
}

}  // namespace node
