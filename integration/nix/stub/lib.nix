# What this flake uses of nixpkgs' `lib`, small enough to read: its modules evaluate where nixpkgs cannot be had.
#
# The module system here knows conditions, priorities, types and submodules. What nobody declared (NixOS's own options)
# is taken as it comes: sets are merged, lists joined, and two different values for one thing are an error.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    elem
    elemAt
    filter
    foldl'
    functionArgs
    genList
    hasAttr
    head
    intersectAttrs
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    map
    mapAttrs
    match
    removeAttrs
    replaceStrings
    stringLength
    substring
    ;

  strings = rec {
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      stringLength text >= stringLength suffix
      && substring (stringLength text - stringLength suffix) (-1) text == suffix;
    removePrefix =
      prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
    removeSuffix =
      suffix: text:
      if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
    concatStrings = builtins.concatStringsSep "";
    toUpper =
      let
        letters = text: builtins.genList (n: substring n 1 text) (stringLength text);
      in
      replaceStrings (letters "abcdefghijklmnopqrstuvwxyz") (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    splitString = separator: text: filter isString (builtins.split (escape separator) text);
    toInt = builtins.fromJSON;
    boolToString = bool: if bool then "true" else "false";
    # Only what is split by here.
    escape = replaceStrings [ "." ] [ "\\." ];
    inherit replaceStrings;
  };

  sets = rec {
    inherit isAttrs mapAttrs listToAttrs;
    nameValuePair = name: value: { inherit name value; };
    genAttrs = names: value: listToAttrs (map (name: nameValuePair name (value name)) names);
    filterAttrs =
      keep: set:
      listToAttrs (
        concatMap (name: if keep name set.${name} then [ (nameValuePair name set.${name}) ] else [ ]) (
          attrNames set
        )
      );
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    concatMapAttrs = f: set: foldl' (sum: name: sum // f name set.${name}) { } (attrNames set);
    optionalAttrs = condition: set: if condition then set else { };
    recursiveUpdate =
      old: new:
      old
      // mapAttrs (
        name: value:
        if isAttrs value && isAttrs (old.${name} or null) then recursiveUpdate old.${name} value else value
      ) new;
  };

  lists = {
    inherit
      all
      any
      elem
      filter
      head
      isList
      ;
    unique = foldl' (found: one: if elem one found then found else found ++ [ one ]) [ ];
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    imap1 = f: list: genList (at: f (at + 1) (elemAt list at)) (length list);
    last = list: elemAt list (length list - 1);
  };

  properties = rec {
    mkOption = option: option // { _type = "option"; };
    mkEnableOption =
      what:
      mkOption {
        type = types.bool;
        default = false;
        description = "Whether to enable ${what}.";
      };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkOverride = priority: content: {
      _type = "override";
      inherit priority content;
    };
    mkForce = mkOverride 50;
    mkDefault = mkOverride 1000;
    literalExpression = text: text;
    literalMD = text: text;
  };

  type = name: check: {
    inherit name check;
    getSubOptions = _: { };
  };
  types = rec {
    anything = type "anything" (_: true);
    bool = type "boolean" isBool;
    int = type "integer" isInt;
    str = type "string" isString;
    lines = str;
    singleLineStr = type "one line" (value: isString value && match "[^\n]*" value != null);
    package = type "package" (value: isAttrs value || isString value);
    path = type "path" (
      value: isPath value || (isString value || value ? outPath) && strings.hasPrefix "/" (toString value)
    );
    pathWith =
      { inStore, absolute }:
      type "path outside of the store" (
        value:
        path.check value
        && (!absolute || strings.hasPrefix "/" (toString value))
        && (inStore || !isPath value && !strings.hasPrefix builtins.storeDir value)
      );
    strMatching =
      pattern: type "string like ${pattern}" (value: isString value && match pattern value != null);
    ints.between =
      low: high: type "number from ${toString low} to ${toString high}" (n: isInt n && low <= n && n <= high);
    port = ints.between 0 65535;
    enum =
      values: type "one of ${builtins.toJSON values}" (value: elem value values) // { inherit values; };
    either = one: other: type "${one.name} or ${other.name}" (value: one.check value || other.check value);
    nullOr =
      inner: type "null or ${inner.name}" (value: value == null || inner.check value) // {
        inherit inner;
        inherit (inner) getSubOptions;
      };
    listOf =
      inner: type "list of ${inner.name}" (value: isList value && all inner.check value) // {
        elements = inner;
        inherit (inner) getSubOptions;
      };
    attrsOf =
      inner:
      type "attrsOf" isAttrs
      // {
        each = inner;
        inherit (inner) getSubOptions;
      };
    submodule =
      module:
      type "submodule" isAttrs
      // {
        inherit module;
        getSubOptions = _: (evalModules { modules = [ module ]; }).options;
      };
  };

  # --- modules ---

  isOption = value: value._type or null == "option";
  isProperty = value: isAttrs value && value ? _type && elem value._type [ "if" "merge" "override" ];
  isPlainSet = value: isAttrs value && !(value ? outPath) && !(value ? _type);
  show = builtins.concatStringsSep ".";

  # A definition → its contents, without asking whether conditions hold: names must be known before values are.
  contents =
    value:
    if !isProperty value then
      [
        {
          wrap = inner: inner;
          inherit value;
        }
      ]
    else if value._type == "merge" then
      concatMap contents value.contents
    else
      map (
        inner:
        inner
        // {
          wrap = x: removeAttrs value [ "content" ] // { content = inner.wrap x; };
        }
      ) (contents value.content);

  # A definition → its values with their priorities, of those whose conditions hold.
  discharge =
    value:
    if !isProperty value then
      [
        {
          priority = 100;
          inherit value;
        }
      ]
    else if value._type == "merge" then
      concatMap discharge value.contents
    else if value._type == "if" then
      (if value.condition then discharge value.content else [ ])
    else
      map (inner: inner // { inherit (value) priority; }) (discharge value.content);

  strongest =
    definitions:
    let
      found = concatMap discharge definitions;
      best = foldl' (best: one: if one.priority < best then one.priority else best) 9999 found;
    in
    map (one: one.value) (filter (one: one.priority == best) found);

  # Sets one level down: name → the definitions of that name.
  zip =
    definitions:
    builtins.zipAttrsWith (_: values: values) (
      concatMap (
        definition: map (part: mapAttrs (_: part.wrap) part.value) (contents definition)
      ) definitions
    );

  same =
    place: values:
    if all (value: value == head values) values then
      head values
    else
      throw "${show place} is defined twice: ${builtins.toJSON values}";

  undeclared =
    place: definitions:
    let
      parts = concatMap contents definitions;
    in
    if parts != [ ] && all (part: isPlainSet part.value) parts then
      mapAttrs (name: undeclared (place ++ [ name ])) (zip definitions)
    else
      let
        values = strongest definitions;
      in
      if values == [ ] then
        throw "${show place} is not defined"
      else if all isList values then
        concatLists values
      else
        same place values;

  declared =
    place: option: definitions:
    let
      values = strongest definitions;
      ofType =
        type: place: values:
        if type ? inner then
          (if all (value: value == null) values then null else ofType type.inner place (filter (v: v != null) values))
        else if type ? module then
          (evalModules {
            inherit place;
            modules = [ type.module ] ++ map (value: { config = value; }) values;
          }).config
        else if !all type.check values then
          throw "${show place} is not a ${type.name}: ${builtins.toJSON (filter (value: !type.check value) values)}"
        else if type ? each then
          mapAttrs (name: ofType type.each (place ++ [ name ])) (
            mapAttrs (_: strongest) (zip values)
          )
        else if type ? elements then
          map (value: ofType type.elements place [ value ]) (concatLists values)
        else
          same place values;
    in
    if !(option ? type && option ? description) then
      throw "the option ${show place} has no type or no description"
    else if values != [ ] then
      ofType option.type place values
    else if option ? default then
      # A submodule fills in its own defaults.
      (if option.type ? module then ofType option.type place [ option.default ] else option.default)
    else
      throw "the option ${show place} has no value";

  level =
    place: options: definitions:
    let
      defined = zip definitions;
      names = attrNames (options // defined);
    in
    sets.genAttrs names (
      name:
      let
        here = place ++ [ name ];
        option = options.${name} or null;
        found = defined.${name} or [ ];
      in
      if option == null then
        undeclared here found
      else if isOption option then
        declared here option found
      else
        level here option found
    );

  evalModules =
    {
      modules,
      specialArgs ? { },
      place ? [ ],
    }:
    let
      arguments = specialArgs // {
        inherit config lib;
        options = declarations;
        extendModules =
          more:
          evalModules {
            modules = modules ++ more.modules;
            inherit specialArgs place;
          };
      };
      load =
        module:
        if isPath module || isString module then
          load (import module)
        else if isFunction module then
          load (module (intersectAttrs (functionArgs module) arguments))
        else
          [ module ] ++ concatMap load (module.imports or [ ]);
      loaded = concatMap load modules;
      structured = module: module ? options || module ? config;
      declarations = foldl' sets.recursiveUpdate { } (map (module: module.options or { }) loaded);
      definitions = map (
        module: if structured module then module.config or { } else removeAttrs module [ "imports" "freeformType" ]
      ) loaded;
      config = level place declarations definitions;
    in
    {
      inherit config;
      options = declarations;
      inherit (arguments) extendModules;
    };

  lib =
    strings
    // sets
    // lists
    // properties
    // {
      inherit types evalModules attrValues hasAttr;
      # Who reads derivations' metadata has nixpkgs.
      licenses = {
        mit = "mit";
        asl20 = "asl20";
      };
      platforms.linux = [ "linux" ];
      importTOML = file: builtins.fromTOML (builtins.readFile file);
      fileset = {
        fileFilter = _: root: root;
        intersection = _: files: files;
        unions = files: files;
        toSource = { root, ... }: root;
      };
    };
in
lib
