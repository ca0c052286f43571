# A compilation full of templates.
cat >test.cc <<'SOURCE'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
template <int N> struct Count { std::map<std::string, std::vector<std::variant<int, double, std::string>>> of; Count<N - 1> less; };
template <> struct Count<0> {};
Count<40> count;
int main()
{
    std::regex expression("([a-z]+)-([0-9]+)");
    std::unordered_map<std::string, std::function<int(int)>> functions;
    functions["twice"] = [](int n) { return 2 * n; };
    std::cout << functions["twice"](21) << std::regex_match("abc-12", expression) << count.of.size() << "\n";
}
SOURCE
$UNDER g++ -std=c++17 -O1 -o test test.cc
$UNDER g++ -std=c++17 -O1 -S -o - test.cc | cksum
$UNDER ./test
